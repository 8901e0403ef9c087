-- walrus 0.9.8, MIT, https://github.com/coleifer/walrus

--@script array_append
local key = KEYS[1]
local value = ARGV[1]
local max_idx = redis.call('HLEN', key)
redis.call('HSET', key, max_idx, value)

--@script array_extend
local key = KEYS[1]
local nargs = #ARGV
local offset = redis.call('HLEN', key)
local idx = 0
while idx < nargs do
  redis.call('HSET', key, idx + offset, ARGV[idx + 1])
  idx = idx + 1
end

--@script array_get
local key = KEYS[1]
local idx = tonumber(ARGV[1])
local arr_len = redis.call('HLEN', key)
if idx < 0 then
  idx = arr_len + idx
end
if idx < 0 or idx >= arr_len then
  return nil
end
return redis.call('HGET', key, idx)

--@script array_pop
local key = KEYS[1]
local last_idx = redis.call('HLEN', key) - 1
if last_idx < 0 then
  return nil
end
local value = redis.call('HGET', key, last_idx)
redis.call('HDEL', key, last_idx)
return value

--@script array_remove
local key = KEYS[1]
local idx = tonumber(ARGV[1])
local arr_len = redis.call('HLEN', key)
if idx < 0 then
  idx = arr_len + idx
end
if idx < 0 or idx >= arr_len then
  return nil
end
local value = redis.call('HGET', key, idx)
local tmpval
while idx < arr_len do
  tmpval = redis.call('HGET', key, idx+1)
  if tmpval then
    redis.call('HSET', key, idx, tmpval)
  end
  idx = idx + 1
end
redis.call('HDEL', key, idx - 1)
return value

--@script array_set
local key = KEYS[1]
local idx = tonumber(ARGV[1])
local arr_len = redis.call('HLEN', key)
if idx < 0 then
  idx = arr_len + idx
end
if idx < 0 or idx >= arr_len then
  return nil
end
redis.call('HSET', key, idx, ARGV[2])

--@script cas
-- Simple compare-and-swap using a prefixed match for the compare portion.
-- This makes it possible to do some basic fencing/etc.
local value_length = string.len(ARGV[1])
if redis.call('GETRANGE', KEYS[1], 0, value_length - 1) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return 1
else
  return 0
end

--@script lock_acquire
local key = KEYS[1]
local lock_id = ARGV[1]
local ttl = tonumber(ARGV[2])
local ret = redis.call('setnx', key, lock_id)
if ret == 1 and ttl > 0 then
  redis.call('pexpire', key, ttl)
end
return ret

--@script lock_release
local key = KEYS[1]
local event_key = KEYS[2]
local lock_id = ARGV[1]
if redis.call("get", key) == lock_id then
  redis.call("lpush", event_key, 1)
  redis.call("ltrim", event_key, 0, 0) -- Trim all but the first item.
  return redis.call("del", key)
else
  return 0
end

--@script rate_limit
local key = KEYS[1]
local limit_count = tonumber(ARGV[1])
local limit_time = tonumber(ARGV[2])
local current_time = tonumber(ARGV[3])

local rc = redis.call('LLEN', key)

local is_limited = 0
local oldest = 0

if rc < limit_count then
    redis.call('LPUSH', key, current_time)
else
    oldest = tonumber(redis.call('LINDEX', key, -1)) or 0
    if (current_time - oldest) < limit_time then
        is_limited = 1
    else
        redis.call('LPUSH', key, current_time)
    end
    redis.call('LTRIM', key, 0, limit_count - 1)
    redis.call('PEXPIRE', key, limit_count * 2000)
end
return is_limited

--@script zset_score_filter
-- Filter.
local zset_key = KEYS[1]
local dest_key = KEYS[2]
local low = ARGV[1]
local high = ARGV[2]
local values = redis.call('ZRANGEBYSCORE', zset_key, low, high)
if # values > 0 then
  for i, value in ipairs(values) do
    redis.call('SADD', dest_key, value)
  end
end
return # values
