-- PyrateLimiter 4.5.1, MIT, https://github.com/vutran1710/PyrateLimiter

--@script bucket
local bucket = KEYS[1]
local now = ARGV[1]
local space_required = tonumber(ARGV[2])
local item_name = ARGV[3]
local rates_count = tonumber(ARGV[4])

-- Per rate the client supplies (window_start, limit, blocking_rank); the
-- window bounds and rank come from the algorithm, so this script stays
-- policy-agnostic. blocking_rank < 0 means "resolve no entry".
for i=1,rates_count do
    local offset = (i - 1) * 3
    local window_start = tonumber(ARGV[5 + offset])
    local limit = tonumber(ARGV[5 + offset + 1])
    local blocking_rank = tonumber(ARGV[5 + offset + 2])
    local count = redis.call('ZCOUNT', bucket, window_start, now)
    local space_available = limit - tonumber(count)
    if space_available < space_required then
        local blocking_timestamp = -1

        if blocking_rank >= 0 then
            local blocking = redis.call('ZRANGE', bucket, -1 - blocking_rank, -1 - blocking_rank, 'WITHSCORES')
            if blocking[2] then
                blocking_timestamp = tonumber(blocking[2])
            end
        end

        return {i - 1, blocking_timestamp}
    end
end

local batch = {}
-- Each member adds two unpacked arguments; 1000 stays below Lua 5.1 limits.
local batch_size = 1000

for i=1,space_required do
    batch[#batch + 1] = now
    batch[#batch + 1] = item_name..i

    if #batch == batch_size * 2 then
        redis.call('ZADD', bucket, unpack(batch))
        batch = {}
    end
end

if #batch > 0 then
    redis.call('ZADD', bucket, unpack(batch))
end

return {-1, -1}

--@script gcra
local key = KEYS[1]
-- Microseconds throughout, mirroring GCRA.step: integers stay exact in a Lua
-- double up to 2**53, which epoch-us (~1.7e15) sits comfortably below.
local now_us = tonumber(ARGV[1]) * 1000
local weight = tonumber(ARGV[2])
local ttl = tonumber(ARGV[3])
local n = tonumber(ARGV[4])

local fields = {}
for i = 1, n do
    fields[i] = 'tat' .. i
end

local stored = redis.call('HMGET', key, unpack(fields))
local advanced = {}

for i = 1, n do
    local offset = (i - 1) * 2
    local emission = tonumber(ARGV[5 + offset])
    local burst = tonumber(ARGV[5 + offset + 1])

    if weight > burst then
        return {i - 1, -1}
    end

    local tat = now_us
    if stored[i] then
        local parsed = tonumber(stored[i])
        if parsed and parsed > now_us then
            tat = parsed
        end
    end

    local new_tat = tat + weight * emission
    local allow_at = new_tat - burst * emission

    if allow_at > now_us then
        return {i - 1, math.ceil((allow_at - now_us) / 1000)}
    end

    advanced[i] = new_tat
end

-- Reached only when every rate admits, so the write is all-or-nothing.
local write = {}
for i = 1, n do
    write[#write + 1] = 'tat' .. i
    -- %.0f, not tostring: Lua's default number formatting is 14 significant
    -- digits, which would mangle an integer this large.
    write[#write + 1] = string.format('%.0f', advanced[i])
end

redis.call('HSET', key, unpack(write))
redis.call('PEXPIRE', key, ttl)
return {-1, 0}
