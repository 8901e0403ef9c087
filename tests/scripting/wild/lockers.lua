-- Locks as libraries of other languages have them, each retold in its shortest form: Redisson
-- (Java, Apache-2.0: reentrant in a hash, freed with a message), Spring Integration's and Laravel's
-- (Apache-2.0, MIT: an owner), redsync and bsm/redislock (Go, BSD-3-Clause, Apache-2.0), Medallion's
-- semaphore (C#, MIT), Redisson's read-write lock, a fencing token.

--@script redisson_lock
if ((redis.call('exists', KEYS[1]) == 0) or (redis.call('hexists', KEYS[1], ARGV[2]) == 1)) then
    redis.call('hincrby', KEYS[1], ARGV[2], 1);
    redis.call('pexpire', KEYS[1], ARGV[1]);
    return nil;
end;
return redis.call('pttl', KEYS[1]);

--@script redisson_unlock
if (redis.call('hexists', KEYS[1], ARGV[3]) == 0) then
    return nil;
end;
local counter = redis.call('hincrby', KEYS[1], ARGV[3], -1);
if (counter > 0) then
    redis.call('pexpire', KEYS[1], ARGV[2]);
    return 0;
else
    redis.call('del', KEYS[1]);
    redis.call('publish', KEYS[2], ARGV[1]);
    return 1;
end;
return nil;

--@script redisson_read_lock
local mode = redis.call('hget', KEYS[1], 'mode');
if (mode == false) then
    redis.call('hset', KEYS[1], 'mode', 'read');
    redis.call('hset', KEYS[1], ARGV[2], 1);
    redis.call('set', KEYS[2] .. ':1', 1);
    redis.call('pexpire', KEYS[2] .. ':1', ARGV[1]);
    redis.call('pexpire', KEYS[1], ARGV[1]);
    return nil;
end;
if (mode == 'read') or (mode == 'write' and redis.call('hexists', KEYS[1], ARGV[3]) == 1) then
    local ind = redis.call('hincrby', KEYS[1], ARGV[2], 1);
    local key = KEYS[2] .. ':' .. ind;
    redis.call('set', key, 1);
    redis.call('pexpire', key, ARGV[1]);
    local remainTime = redis.call('pttl', KEYS[1]);
    redis.call('pexpire', KEYS[1], math.max(remainTime, ARGV[1]));
    return nil;
end;
return redis.call('pttl', KEYS[1]);

--@script spring_obtain
local lockClientId = redis.call('GET', KEYS[1])
if lockClientId == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return true
elseif not lockClientId then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return true
end
return false

--@script spring_unlink
local lockClientId = redis.call('GET', KEYS[1])
if lockClientId == ARGV[1] then
    redis.call('UNLINK', KEYS[1])
    return true
end
return false

--@script laravel_release
if redis.call("get",KEYS[1]) == ARGV[1] then
    return redis.call("del",KEYS[1])
else
    return 0
end

--@script redsync_touch
if redis.call("GET", KEYS[1]) == ARGV[1] then
    return redis.call("PEXPIRE", KEYS[1], ARGV[2])
elseif redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2], "NX") then
    return 1
else
    return 0
end

--@script redislock_ttl
local values = redis.call("mget", unpack(KEYS))
for i, _ in ipairs(KEYS) do
    if values[i] ~= ARGV[1] then
        return false
    end
end
local minTTL = 0
for _, key in ipairs(KEYS) do
    local ttl = redis.call("pttl", key)
    if ttl > 0 and (minTTL == 0 or ttl < minTTL) then
        minTTL = ttl
    end
end
return minTTL

--@script semaphore
local nowResult = redis.call('time')
local nowMillis = (tonumber(nowResult[1]) * 1000.0) + (tonumber(nowResult[2]) / 1000.0)
redis.call('zremrangebyscore', KEYS[1], '-inf', nowMillis)
if redis.call('zcard', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('zadd', KEYS[1], nowMillis + tonumber(ARGV[2]), ARGV[3])
    local keyTtl = redis.call('pttl', KEYS[1])
    if keyTtl < tonumber(ARGV[4]) then
        redis.call('pexpire', KEYS[1], ARGV[4])
    end
    return 1
end
return 0

--@script fencing_token
if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return redis.call('incr', KEYS[2])
end
return redis.error_reply('LOCKED by ' .. redis.call('get', KEYS[1]))
