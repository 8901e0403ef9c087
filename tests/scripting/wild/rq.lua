-- RQ 3.0.0, BSD-2-Clause, https://github.com/rq/rq

--@part promote
local concurrency = tonumber(ARGV[1])
local timestamp = tonumber(ARGV[2])
local enqueued_at = ARGV[3]
local queue_key_prefix = ARGV[4]
local job_key_prefix = ARGV[5]
local promoted = {}

while redis.call('ZCARD', KEYS[1]) < concurrency do
    local result = redis.call('ZPOPMIN', KEYS[2])
    if #result == 0 then
        break
    end
    local job_id = result[1]
    local job_key = job_key_prefix .. job_id
    local fields = redis.call('HMGET', job_key, 'origin', 'status', 'enqueue_at_front')
    local origin, status, enqueue_at_front = fields[1], fields[2], fields[3]
    -- Drop stale entries (missing hash, no origin or not rate_limited); ZPOPMIN removed them.
    if origin and status == 'rate_limited' then
        redis.call('ZADD', KEYS[1], timestamp, job_id)
        if enqueue_at_front == '1' then
            redis.call('LPUSH', queue_key_prefix .. origin, job_id)
        else
            redis.call('RPUSH', queue_key_prefix .. origin, job_id)
        end
        redis.call('HSET', job_key, 'status', 'queued', 'enqueued_at', enqueued_at)
        table.insert(promoted, job_id)
    end
end
return promoted

--@script acquire_and_enqueue
--@include promote

--@script cleanup_registry
if redis.call('ZCARD', KEYS[1]) == 0 and redis.call('ZCARD', KEYS[2]) == 0 then
    redis.call('SREM', KEYS[4], ARGV[1])
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
    return 1
end
return 0

--@script empty
local prefix = "rq:job:"
local result_prefix = "rq:results:"
local q = KEYS[1]
local count = 0
while true do
    local job_id = redis.call("lpop", q)
    if job_id == false then
        break
    end

    -- Delete the relevant keys
    redis.call("del", prefix..job_id, result_prefix..job_id)
    redis.call("del", prefix..job_id..":dependents")
    count = count + 1
end
return count

--@script release_and_enqueue
redis.call('ZREM', KEYS[1], ARGV[6])

--@include promote

--@script release_stale_and_enqueue
local status = redis.call('HGET', KEYS[3], 'status')
if status == 'queued' or status == 'started' then
    return {}
end
if redis.call('ZCOUNT', KEYS[4], '(' .. ARGV[2], '+inf') > 0 then
    return {}
end
if redis.call('ZREM', KEYS[1], ARGV[6]) == 0 then
    return {}
end

--@include promote

--@script unique_enqueue
-- KEYS[1] = job key (rq:job:{job_id})
-- KEYS[2] = queue key (rq:queue:{queue_name})
-- ARGV[1] = job_id
-- ARGV[2] = push direction ("L", "R", or "N" for no push)
-- ARGV[3] = TTL in seconds (-1 for no TTL)
-- ARGV[4+] = field1, value1, field2, value2, ... for HSET

-- Check if job hash already exists
if redis.call("EXISTS", KEYS[1]) == 1 then
    return 0  -- Duplicate, reject
end

-- Save job hash
if #ARGV > 3 then
    redis.call("HSET", KEYS[1], unpack(ARGV, 4))
end

-- Set TTL if specified
local ttl = tonumber(ARGV[3])
if ttl and ttl > 0 then
    redis.call("EXPIRE", KEYS[1], ttl)
end

-- Push job ID to queue (skip if "N")
if ARGV[2] == "L" then
    redis.call("LPUSH", KEYS[2], ARGV[1])
elseif ARGV[2] == "R" then
    redis.call("RPUSH", KEYS[2], ARGV[1])
end

return 1  -- Success

--@script unique_schedule
-- KEYS[1] = job key (rq:job:{job_id})
-- KEYS[2] = scheduled registry key (rq:scheduled:{queue_name})
-- KEYS[3] = queues key (rq:queues)
-- ARGV[1] = job_id
-- ARGV[2] = TTL in seconds (-1 for no TTL)
-- ARGV[3] = scheduled timestamp (UTC)
-- ARGV[4] = queue key (rq:queue:{queue_name})
-- ARGV[5+] = field1, value1, field2, value2, ... for HSET

-- Check if job hash already exists
if redis.call("EXISTS", KEYS[1]) == 1 then
    return 0  -- Duplicate, reject
end

-- Save job hash
if #ARGV > 4 then
    redis.call("HSET", KEYS[1], unpack(ARGV, 5))
end

-- Set TTL if specified
local ttl = tonumber(ARGV[2])
if ttl and ttl > 0 then
    redis.call("EXPIRE", KEYS[1], ttl)
end

-- Add to scheduled registry sorted set
redis.call("ZADD", KEYS[2], tonumber(ARGV[3]), ARGV[1])

-- Register queue
redis.call("SADD", KEYS[3], ARGV[4])

return 1  -- Success
