-- Queues as libraries of other languages have them, each retold in its shortest form: Laravel's
-- (PHP, MIT), asynq (Go, MIT), Sidekiq's and Resque's schedules (Ruby), machinery's delayed tasks
-- (Go, MPL-2.0), a leaderboard page, an inventory, a session's touch, what Rails' cache deletes.

--@script laravel_pop
local job = redis.call('lpop', KEYS[1])
local reserved = false
if(job ~= false) then
    reserved = cjson.decode(job)
    reserved['attempts'] = reserved['attempts'] + 1
    reserved = cjson.encode(reserved)
    redis.call('zadd', KEYS[2], ARGV[1], reserved)
    redis.call('lpop', KEYS[3])
end
return {job, reserved}

--@script laravel_migrate
local val = redis.call('zrangebyscore', KEYS[1], '-inf', ARGV[1], 'limit', 0, ARGV[2])
if(next(val) ~= nil) then
    redis.call('zremrangebyrank', KEYS[1], 0, #val - 1)
    for i = 1, #val, 100 do
        redis.call('rpush', KEYS[2], unpack(val, i, math.min(i+99, #val)))
        for j = i, math.min(i+99, #val) do
            redis.call('rpush', KEYS[3], 1)
        end
    end
end
return val

--@script laravel_size
return redis.call('llen', KEYS[1]) + redis.call('zcard', KEYS[2]) + redis.call('zcard', KEYS[3])

--@script asynq_enqueue
if redis.call("EXISTS", KEYS[1]) == 1 then
	return 0
end
redis.call("HSET", KEYS[1],
           "msg", ARGV[1],
           "state", "pending",
           "pending_since", ARGV[3])
redis.call("LPUSH", KEYS[2], ARGV[2])
return 1

--@script asynq_dequeue
if redis.call("EXISTS", KEYS[2]) == 0 then
	local id = redis.call("RPOPLPUSH", KEYS[1], KEYS[3])
	if id then
		local key = ARGV[2] .. id
		redis.call("HSET", key, "state", "active")
		redis.call("HDEL", key, "pending_since")
		redis.call("ZADD", KEYS[4], ARGV[1], id)
		return redis.call("HGET", key, "msg")
	end
end
return nil

--@script asynq_done
if redis.call("LREM", KEYS[1], 0, ARGV[1]) == 0 then
  return redis.error_reply("NOT FOUND")
end
if redis.call("ZREM", KEYS[2], ARGV[1]) == 0 then
  return redis.error_reply("NOT FOUND")
end
if redis.call("DEL", KEYS[3]) == 0 then
  return redis.error_reply("NOT FOUND")
end
local n = redis.call("INCR", KEYS[4])
if tonumber(n) == 1 then
	redis.call("EXPIREAT", KEYS[4], ARGV[2])
end
local total = redis.call("GET", KEYS[5])
if tonumber(total) == tonumber(ARGV[3]) then
	redis.call("SET", KEYS[5], 1)
else
	redis.call("INCR", KEYS[5])
end
return redis.status_reply("OK")

--@script sidekiq_pop_due
local key, now = KEYS[1], ARGV[1]
local jobs = redis.call("zrange", key, "-inf", now, "byscore", "limit", 0, 1)
if jobs[1] then
  redis.call("zrem", key, jobs[1])
  return jobs[1]
end

--@script resque_expired
local queue_depth = redis.call("llen", KEYS[1])
local moved = {}
for i = 1, queue_depth do
  local item = redis.call("rpoplpush", KEYS[1], KEYS[2])
  local ok, decoded = pcall(cjson.decode, item)
  if ok and decoded["class"] then
    moved[#moved + 1] = decoded["class"] .. "/" .. #decoded["args"]
  else
    redis.call("lrem", KEYS[2], 1, item)
  end
end
return moved

--@script page_with_details
local ids = redis.call('ZREVRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
local found = {}
for i = 1, #ids, 2 do
  local row = redis.call('HGETALL', ARGV[3] .. ids[i])
  local object = {id = ids[i], score = tonumber(ids[i + 1])}
  for j = 1, #row, 2 do object[row[j]] = row[j + 1] end
  found[#found + 1] = {ids[i], object.score, object.name or false, struct.pack('>I2', #row)}
end
return found

--@script reserve_stock
local wanted = cmsgpack.unpack(ARGV[1])
for i, item in ipairs(wanted) do
  local left = tonumber(redis.call('HGET', KEYS[1], item.sku))
  if not left then return {err = 'NOITEM ' .. item.sku} end
  if left < item.count then return redis.error_reply('SHORT of ' .. item.sku .. ': ' .. left) end
end
local left = {}
for i, item in ipairs(wanted) do
  left[i] = redis.call('HINCRBY', KEYS[1], item.sku, -item.count)
end
redis.log(redis.LOG_DEBUG, 'reserved')
return left

--@script touch_session
local session = redis.pcall('HGETALL', KEYS[1])
if session.err then
  return {false, string.match(session.err, '^%u+')}
end
if #session == 0 then
  return redis.status_reply('GONE')
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {redis.sha1hex(table.concat(session, ',')), #session / 2, bit.band(#session, 3)}

--@script delete_matched
local cursor, deleted = '0', 0
repeat
  local reply = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 100)
  cursor = reply[1]
  for _, key in ipairs(reply[2]) do deleted = deleted + redis.call('UNLINK', key) end
until cursor == '0'
return deleted
