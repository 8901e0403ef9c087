-- python-redis-lock 4.0.1, BSD-2-Clause, https://github.com/ionelmc/python-redis-lock

--@script extend
if redis.call("get", KEYS[1]) ~= ARGV[1] then
    return 1
elseif redis.call("ttl", KEYS[1]) < 0 then
    return 2
else
    redis.call("expire", KEYS[1], ARGV[2])
    return 0
end

--@script reset
redis.call('del', KEYS[2])
redis.call('lpush', KEYS[2], 1)
redis.call('pexpire', KEYS[2], ARGV[2])
return redis.call('del', KEYS[1])

--@script reset_all
local locks = redis.call('keys', 'lock:*')
local signal
for _, lock in pairs(locks) do
    signal = 'lock-signal:' .. string.sub(lock, 6)
    redis.call('del', signal)
    redis.call('lpush', signal, 1)
    redis.call('expire', signal, 1)
    redis.call('del', lock)
end
return #locks

--@script unlock
if redis.call("get", KEYS[1]) ~= ARGV[1] then
    return 1
else
    redis.call("del", KEYS[2])
    redis.call("lpush", KEYS[2], 1)
    redis.call("pexpire", KEYS[2], ARGV[2])
    redis.call("del", KEYS[1])
    return 0
end
