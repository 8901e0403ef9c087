-- Rate limiters, each retold in its shortest form: Stripe's token bucket (a gist, MIT), Spring Cloud
-- Gateway's (Apache-2.0), GCRA as in redis-cell and go-redis' redis_rate (BSD-2-Clause), a sliding
-- log and a sliding counter as in Kong and Cloudflare, Laravel's limiters (MIT), Bottleneck (JS, MIT).

--@script token_bucket
local tokens_key, timestamp_key = KEYS[1], KEYS[2]
local rate, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local now, requested = tonumber(ARGV[3]), tonumber(ARGV[4])
local fill_time = capacity / rate
local ttl = math.floor(fill_time * 2)
local last_tokens = tonumber(redis.call("get", tokens_key))
if last_tokens == nil then
  last_tokens = capacity
end
local last_refreshed = tonumber(redis.call("get", timestamp_key))
if last_refreshed == nil then
  last_refreshed = 0
end
local delta = math.max(0, now - last_refreshed)
local filled_tokens = math.min(capacity, last_tokens + (delta * rate))
local allowed = filled_tokens >= requested
local new_tokens = filled_tokens
local allowed_num = 0
if allowed then
  new_tokens = filled_tokens - requested
  allowed_num = 1
end
if ttl > 0 then
  redis.call("setex", tokens_key, ttl, new_tokens)
  redis.call("setex", timestamp_key, ttl, now)
end
return { allowed_num, new_tokens, tostring(new_tokens) }

--@script gcra
redis.replicate_commands()
local rate_limit_key = KEYS[1]
local burst, rate, period, cost = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local emission_interval = period / rate
local increment = emission_interval * cost
local burst_offset = emission_interval * burst
local now = tonumber(ARGV[5])
local tat = redis.call("GET", rate_limit_key)
if not tat then
  tat = now
else
  tat = tonumber(tat)
end
tat = math.max(tat, now)
local new_tat = tat + increment
local allow_at = new_tat - burst_offset
local diff = now - allow_at
local remaining = diff / emission_interval
if remaining < 0 then
  local reset_after = tat - now
  local retry_after = diff * -1
  return { 0, 0, tostring(retry_after), tostring(reset_after) }
end
local reset_after = new_tat - now
if reset_after > 0 then
  redis.call("SET", rate_limit_key, new_tat, "EX", math.ceil(reset_after))
end
local retry_after = -1
return { cost, remaining, tostring(retry_after), tostring(reset_after) }

--@script sliding_log
local now = redis.call('TIME')
local micros = now[1] * 1000000 + now[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, micros - ARGV[2] * 1000000)
local count = redis.call('ZCARD', KEYS[1])
if count < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], micros, count .. ':' .. ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  return {1, ARGV[1] - count - 1}
end
return {0, 0}

--@script sliding_counter
local current = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local previous = tonumber(redis.call('HGET', KEYS[1], ARGV[1] - 1) or 0)
local weight = tonumber(ARGV[2])
local estimated = previous * (1 - weight) + current
if estimated >= tonumber(ARGV[3]) then
  return {false, string.format('%.2f', estimated)}
end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if tonumber(field) < ARGV[1] - 1 then redis.call('HDEL', KEYS[1], field) end
end
return {true, string.format('%.2f', estimated + 1)}

--@script laravel_duration
local function reset()
    redis.call('HMSET', KEYS[1], 'start', ARGV[2], 'end', ARGV[2] + ARGV[3], 'count', 1)
    return redis.call('EXPIRE', KEYS[1], ARGV[3] * 2)
end
if redis.call('EXISTS', KEYS[1]) == 0 then
    return {reset(), ARGV[2] + ARGV[3], ARGV[4] - 1}
end
if ARGV[1] >= redis.call('HGET', KEYS[1], 'start') and ARGV[1] <= redis.call('HGET', KEYS[1], 'end') then
    return {
        tonumber(redis.call('HINCRBY', KEYS[1], 'count', 1)) <= tonumber(ARGV[4]),
        redis.call('HGET', KEYS[1], 'end'),
        ARGV[4] - redis.call('HGET', KEYS[1], 'count')
    }
end
return {reset(), ARGV[2] + ARGV[3], ARGV[4] - 1}

--@script laravel_concurrency
for index, value in pairs(redis.call('mget', unpack(KEYS))) do
    if not value then
        redis.call('set', KEYS[index], ARGV[3], "EX", ARGV[2])
        return ARGV[1]..index
    end
end

--@script bottleneck
local settings = redis.call('hmget', KEYS[1], 'id', 'maxConcurrent', 'running', 'reservoir', 'nextRequest')
local id, max_concurrent = settings[1], tonumber(settings[2])
local running, reservoir = tonumber(settings[3]), tonumber(settings[4])
local next_request = tonumber(settings[5])
local now, weight = tonumber(ARGV[1]), tonumber(ARGV[2])
if not id then
  return redis.error_reply('SETTINGS_KEY_NOT_FOUND')
end
local conditions = (max_concurrent == nil or running + weight <= max_concurrent) and
  (reservoir == nil or reservoir - weight >= 0)
if not conditions then
  return {false, 0, reservoir}
end
running = redis.call('hincrby', KEYS[1], 'running', weight)
if reservoir ~= nil then
  reservoir = tonumber(redis.call('hincrby', KEYS[1], 'reservoir', -weight))
end
local wait = math.max(next_request - now, 0)
redis.call('hset', KEYS[1], 'nextRequest', now + wait + ARGV[3])
return {true, wait, reservoir}
