-- Pottery 3.0.1, Apache-2.0, https://github.com/brainix/pottery

--@script acquired
if redis.call('get', KEYS[1]) == ARGV[1] then
    local pttl = redis.call('pttl', KEYS[1])
    return (pttl > 0) and pttl or 0
else
    return 0
end

--@script extend
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('pexpire', KEYS[1], ARGV[2])
else
    return 0
end

--@script release
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
else
    return 0
end

--@script set_id
local curr = tonumber(redis.call('get', KEYS[1]))
local next = tonumber(ARGV[1])
if curr == nil or curr < next then
    redis.call('set', KEYS[1], next)
    return next
else
    return nil
end
