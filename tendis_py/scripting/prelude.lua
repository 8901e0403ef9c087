-- What scripts see instead of Lua's own globals, and how they are run. Read by runtime.py, once for
-- each runtime; nothing of it that Python provides is ever handed to a script.
--
-- Stock Lua has no read-only tables, as Redis' has: a script gets an empty stand-in for each table
-- of ours, and what would reach past a metatable (next, rawset, ...) is wrapped. Functions of the
-- C library that can't do harm are themselves.

local host = ...

local host_call, host_call_with, host_log, host_sha1hex = host.call, host.call_with, host.log, host.sha1hex
local host_setresp, host_allows, host_check = host.setresp, host.allows, host.check
local host_clock = host.clock
local host_format_double = host.format_double

local assert, error, gcinfo, loadstring, load = assert, error, gcinfo, loadstring, load
local next, pairs, pcall, rawget, rawset, select = next, pairs, pcall, rawget, rawset, select
local getmetatable, setmetatable, setfenv, tostring = getmetatable, setmetatable, setfenv, tostring
local MOST_UNPACKED, INT_MAX = 1e6, 2147483647
local type, unpack, xpcall, collectgarbage = type, unpack, xpcall, collectgarbage
local tonumber = tonumber
local format, gsub, find, sub = string.format, string.gsub, string.find, string.sub
local dump = string.dump
local concat, insert, foreach, maxn = table.concat, table.insert, table.foreach, table.maxn
local floor = math.floor
local getinfo, sethook = debug.getinfo, debug.sethook
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield

local READONLY = "Attempt to modify a readonly table"
local MEMORY = "not enough memory"
local SOURCE = "=prelude"
local STATUS, ERROR, ENDING, PARTS = 1, 2, 3, 4
local SLOW, FEW = 200, 1000  -- nanoseconds an instruction, from which on a look comes after so many
local MANY = 64  -- arguments, from which on Python is handed a table: it takes them one by one

local ending = nil  -- why the running script has to end, whatever catches errors; nil: it need not
local speaks_3 = false  -- whether the script has asked for RESP3
local danger = 0    -- kilobytes from which on a script has to end before it calls Python

-- Tables that scripts may read

local real = setmetatable({}, {__mode = "k"})  -- stand-in -> the table it stands for
local shown_metatables = setmetatable({}, {__mode = "k"})

local function refuse()
    error(READONLY, 2)
end

local function readonly(values, missing)
    local stand_in = setmetatable({}, {__index = values, __newindex = refuse, __metatable = false})
    if missing then
        setmetatable(values, {__index = missing})
        shown_metatables[stand_in] = readonly({__index = missing})
    end
    real[stand_in] = values
    return stand_in
end

local function nonexistent(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

-- Errors

local function fail(message)
    ending = ending or message
    error(message, 0)
end

-- What protected calls return; what has to end a script is not caught
local function caught(ok, failure, ...)
    if ok then
        return ok, failure, ...
    end
    if ending or failure == MEMORY then
        fail(ending or MEMORY)
    end
    return ok, failure
end

-- As Redis' pcall: of a table with an error, that
local function unwrapped(ok, failure, ...)
    if not ok and type(failure) == "table" then
        local message = rawget(failure, "err")
        if type(message) == "string" or type(message) == "number" then
            return ok, message
        end
    end
    return ok, failure, ...
end

-- Call a function of the C library for one of its wrappers: an error is the caller's
local function call_as(name, library_function, ...)
    local results = {pcall(library_function, ...)}
    if results[1] then
        return unpack(results, 2, maxn(results))
    end
    local failure = results[2]
    if type(failure) ~= "string" or find(failure, "^table index is ") then  -- of no place in C either
        error(failure, 0)
    end
    error((gsub(failure, "'%?'", "'" .. name .. "'", 1)), 3)
end

-- A look is taken after so many instructions; sooner while they take long, as calls with very many
-- arguments do
local every, looked = host.instructions, 0

local function check_hook()
    local verdict = host_check()
    if verdict then
        fail(verdict)
    end
    local now = host_clock()
    local is_slow = now - looked > SLOW * every
    looked = now
    if is_slow or every ~= host.instructions then
        every = is_slow and FEW or host.instructions
        sethook(check_hook, "", every)
    end
end

local function watch(thread)
    sethook(thread, check_hook, "", every)
end

-- The base library

local base = {}

function base.pcall(...)
    return unwrapped(caught(pcall(...)))
end

function base.xpcall(...)
    local f, handler = ...
    if select("#", ...) < 2 then
        return call_as("xpcall", xpcall, ...)
    end
    local overflow
    local function outcome(ok, ...)
        if not overflow then
            return ok, ...
        end
        local handled, value = caught(pcall(handler, overflow))
        if not handled then
            value = "error in error handling"
        end
        return false, value
    end
    return outcome(caught(xpcall(f, function(failure)
        if ending or failure == MEMORY then
            fail(ending or MEMORY)
        end
        if type(failure) == "string" and find(failure, "stack overflow", 1, true) then
            overflow = failure  -- up there is no room for what looks after the handler
            return nil
        end
        return handler(failure)
    end)))
end

function base.next(...)
    local t, key = ...
    if type(t) ~= "table" then
        return call_as("next", next, ...)
    end
    return next(real[t] or t, key)
end

function base.pairs(...)
    local t = ...
    if type(t) ~= "table" then
        return call_as("pairs", pairs, ...)
    end
    return real[t] and base.next or next, t, nil
end

function base.rawget(...)
    local t, key = ...
    if type(t) ~= "table" or select("#", ...) < 2 then
        return call_as("rawget", rawget, ...)
    end
    return rawget(real[t] or t, key)
end

function base.rawset(...)
    if real[(...)] then
        error(READONLY, 0)
    end
    return call_as("rawset", rawset, ...)
end

function base.getmetatable(...)
    local value = ...
    if type(value) == "string" then
        return shown_metatables.string
    elseif type(value) == "userdata" then
        return nil
    elseif real[value] then
        return shown_metatables[value]
    end
    return call_as("getmetatable", getmetatable, ...)
end

function base.setmetatable(...)
    local t, metatable = ...
    if real[t] then
        error(READONLY, 0)
    end
    if type(t) == "table" and type(metatable) == "table" and getmetatable(t) == nil then
        return setmetatable(t, metatable)
    end
    return call_as("setmetatable", setmetatable, ...)
end

function base.collectgarbage(what, ...)
    if what == nil or what == "collect" or what == "count" or what == "step" then
        return collectgarbage(what, ...)
    elseif what == "stop" or what == "restart" or what == "setpause" or what == "setstepmul" then
        return 0
    end
    return call_as("collectgarbage", collectgarbage, what, ...)
end

-- Bytecode could do anything. Redis has no loader for it, and takes it for a source.
local function as_source(chunk)
    return sub(chunk, 1, 1) == "\27" and "\1" .. sub(chunk, 2) or chunk
end

local function as_told(message)
    if type(message) ~= "string" then
        return message
    end
    return (gsub(gsub(message, "char%(1%)", "char(27)"), '^%[string "\1', '[string "\27'))
end

function base.loadstring(...)
    local chunk, name = ...
    if type(chunk) == "number" then
        chunk = tostring(chunk)
    end
    if type(chunk) ~= "string" or (name ~= nil and type(name) ~= "string") then
        return call_as("loadstring", loadstring, ...)
    end
    local loaded, message = loadstring(as_source(chunk), name or as_source(chunk))
    if loaded then
        return setfenv(loaded, base._G)
    end
    return loaded, sub(chunk, 1, 1) == "\27" and as_told(message) or message
end

function base.load(...)
    local reader, name = ...
    if type(reader) ~= "function" then
        return call_as("load", load, ...)
    end
    local is_first, is_binary = true, false
    local loaded, message = load(function()
        local piece = reader()
        if is_first and type(piece) == "string" and piece ~= "" then
            is_first, is_binary = false, sub(piece, 1, 1) == "\27"
            return as_source(piece)
        end
        return piece
    end, name)
    if loaded then
        return setfenv(loaded, base._G)
    end
    caught(false, message)
    if type(message) == "table" and type(message.err) == "string" then  -- our handler has been there
        local place = getinfo(2, "Sl")
        local here = "ERR " .. place.short_src .. ":" .. place.currentline
        message.err = gsub(message.err, "^ERR prelude:%d+", here)
    end
    return loaded, is_binary and as_told(message) or message
end

for name in pairs({assert = 1, error = 1, gcinfo = 1, ipairs = 1, rawequal = 1, select = 1,
                   tonumber = 1, tostring = 1, type = 1, unpack = 1}) do
    base[name] = _G[name]
end
base._VERSION = _VERSION

-- The other libraries

local function copy(library, left_out)
    local copied = {}
    for name, value in pairs(library) do
        if name ~= left_out then
            copied[name] = value
        end
    end
    return copied
end

local strings = copy(string)
local tables = copy(table)
local maths = copy(math)
local coroutines = copy(coroutine)

-- Lua's own counts them in an int, which overflows
function base.unpack(...)
    local t, first, last = ...
    local from = first == nil and 1 or tonumber(first)
    local to = type(t) == "table" and (last == nil and #t or tonumber(last))
    if not from or not to then
        return call_as("unpack", unpack, ...)
    end
    local fit = from >= -INT_MAX and from <= INT_MAX and to >= -INT_MAX and to <= INT_MAX
    if not fit or to - from >= MOST_UNPACKED then
        error("too many results to unpack", 2)
    end
    return unpack(...)
end

function tables.insert(...)
    local t, place = ...
    if real[t] then
        error(READONLY, 0)
    end
    local count = select("#", ...)
    if type(t) == "table" and (count == 2 or (count == 3 and type(place) == "number")) then
        return insert(...)
    end
    return call_as("insert", insert, ...)
end

function tables.foreach(...)
    local t, f = ...
    if type(t) ~= "table" or type(f) ~= "function" then
        return call_as("foreach", foreach, ...)
    end
    return foreach(real[t] or t, f)
end

function coroutines.create(...)
    local f = ...
    if type(f) ~= "function" or getinfo(f, "S").what == "C" then
        return call_as("create", create, ...)
    end
    local thread = create(f)
    watch(thread)
    return thread
end

function coroutines.resume(...)
    if type((...)) ~= "thread" then
        return call_as("resume", resume, ...)
    end
    return caught(resume(...))
end

-- What a wrapped coroutine returns, or its error with the caller's place, as Lua does it
local function passed_on(ok, failure, ...)
    if ok then
        return failure, ...
    end
    error(failure, type(failure) == "string" and 3 or 0)
end

function coroutines.wrap(...)
    local f = ...
    if type(f) ~= "function" or getinfo(f, "S").what == "C" then
        return call_as("wrap", create, ...)
    end
    local thread = coroutines.create(f)
    return function(...)
        return passed_on(caught(resume(thread, ...)))
    end
end

-- Redis' own generator: drand48 in 16-bit parts
local random_0, random_1, random_2 = 0x330E, 0xABCD, 0x1234

local function lrand48()
    local low = random_0 * 0xE66D + 0xB
    local middle = random_0 * 0xDEEC + random_1 * 0xE66D + floor(low / 65536)
    local high = random_0 * 5 + random_1 * 0xDEEC + random_2 * 0xE66D + floor(middle / 65536)
    random_0, random_1, random_2 = low % 65536, middle % 65536, high % 65536
    return random_2 * 32768 + floor(random_1 / 2)
end

-- A text of digits is a number, to functions of C's
local function as_number(first, second)
    return type(first) == "string" and tonumber(first) or first,
        type(second) == "string" and tonumber(second) or second
end

local raw_random, raw_randomseed = math.random, math.randomseed

function maths.random(...)
    local count = select("#", ...)
    local low, high = as_number(...)
    if count == 0 then
        return lrand48() % 2147483647 / 2147483647
    elseif count > 2 then
        error("wrong number of arguments", 2)
    elseif type(low) ~= "number" or (count == 2 and type(high) ~= "number") then
        return call_as("random", raw_random, ...)
    end
    local draw = lrand48() % 2147483647 / 2147483647
    if count == 1 then
        low, high = 1, low
    end
    low, high = low - low % 1, high - high % 1
    if low > high then
        return call_as("random", raw_random, ...)
    end
    return floor(draw * (high - low + 1)) + low
end

function maths.randomseed(...)
    local seed = as_number(...)
    if type(seed) ~= "number" then
        return call_as("randomseed", raw_randomseed, ...)
    end
    seed = (seed < 0 and -floor(-seed) or floor(seed)) % 4294967296
    random_0, random_1, random_2 = 0x330E, seed % 65536, floor(seed / 65536)
end

-- Redis' library

-- One array of many: Python makes long ones in parts
local function joined(parts)
    local whole, at = {}, 0
    for number = 1, #parts do
        local part = parts[number]
        parts[number] = nil
        for place = 1, host.at_once do
            whole[at + place] = part[place]
        end
        at = at + host.at_once
    end
    return whole
end

local function answer(raises, value, kind)
    if kind == nil then
        return value
    elseif kind == STATUS then
        return {ok = value}
    elseif kind == PARTS then
        return joined(value)
    elseif kind == ENDING then
        fail(value)
    end
    local failure = {err = value, ignore_error_stats_update = true}
    if raises then
        error(failure, 0)
    end
    return failure
end

local function ask(...)
    if gcinfo() > danger then
        fail(MEMORY)
    end
    if select("#", ...) > MANY then
        return host_call_with({n = select("#", ...), ...})
    end
    return host_call(...)
end

-- What Python has to say to other calls: a value, or an error and its kind
local function result(value, kind)
    if kind then
        error({err = value}, 0)
    end
    return value
end

local redis = {
    REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
    REDIS_VERSION = host.version, REDIS_VERSION_NUM = host.version_number,
}

function redis.call(...)
    return answer(true, ask(...))
end

function redis.pcall(...)
    return answer(false, ask(...))
end

function redis.error_reply(...)
    local message = ...
    if select("#", ...) ~= 1 or type(message) ~= "string" then
        return {err = "ERR wrong number or type of arguments"}
    end
    message = gsub(message, "^-", "")
    return {err = find(message, " ", 1, true) and message or "ERR " .. message}
end

function redis.status_reply(...)
    local message = ...
    if select("#", ...) ~= 1 or type(message) ~= "string" then
        return {err = "ERR wrong number or type of arguments"}
    end
    return {ok = message}
end

-- The text of a string or a number, as lua_tolstring
local function text(value)
    if type(value) == "string" then
        return value
    end
    return type(value) == "number" and tostring(value) or ""
end

local function refuse_call(message)
    error({err = "ERR " .. message}, 0)
end

function redis.sha1hex(...)
    if select("#", ...) ~= 1 then
        refuse_call("wrong number of arguments")
    end
    return host_sha1hex(text((...)))
end

function redis.log(level, ...)
    local count = select("#", ...)
    if count < 1 then
        refuse_call("redis.log() requires two arguments or more.")
    elseif type(level) ~= "number" and not tonumber(level) then
        refuse_call("First argument must be a number (log level).")
    end
    level = tonumber(level)
    if level < 0 or level >= 4 then
        refuse_call("Invalid log level.")
    end
    local words = {}
    for at = 1, count do
        words[at] = text((select(at, ...)))
    end
    host_log(floor(level), concat(words, " "))
end

function redis.setresp(...)
    if select("#", ...) ~= 1 then
        refuse_call("redis.setresp() requires one argument.")
    end
    local protocol = floor(tonumber((...)) or 0)
    if protocol ~= 2 and protocol ~= 3 then
        refuse_call("RESP version must be 2 or 3.")
    end
    host_setresp(protocol)
    speaks_3 = protocol == 3
end

function redis.set_repl(...)
    if select("#", ...) ~= 1 then
        refuse_call("redis.set_repl() requires one argument.")
    end
    local flags = tonumber((...)) or 0
    if flags < 0 or flags > 3 then
        refuse_call("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
    end
end

function redis.replicate_commands()
    return true
end

function redis.breakpoint()
    return false
end

function redis.debug()
end

function redis.acl_check_cmd(...)
    if gcinfo() > danger then
        fail(MEMORY)
    end
    return result(host_allows({n = select("#", ...), ...}))
end

-- The globals

local globals = {}
for name, value in pairs(base) do
    globals[name] = value
end
globals.os = readonly({clock = os.clock})
globals.string = readonly(strings)
globals.table = readonly(tables)
globals.math = readonly(maths)
globals.coroutine = readonly(coroutines)
globals.redis = readonly(redis)
globals.server = globals.redis
for name, library in pairs(host.libraries) do
    globals[name] = readonly(library)
end
base._G = readonly(globals, nonexistent)
globals._G = base._G

getmetatable("").__index = globals.string
shown_metatables.string = readonly({__index = globals.string})

-- The place of an error is where the script was
local function handler(failure)
    local level, place = 2, nil
    repeat
        place = getinfo(level, "Sl")
        level = level + 1
    until place == nil or (place.what ~= "C" and place.what ~= "tail" and place.source ~= SOURCE)
    if type(failure) ~= "table" or real[failure] then
        failure = {err = "ERR " .. tostring(failure)}
    end
    if place then
        rawset(failure, "source", place.source)
        rawset(failure, "line", place.currentline)
    end
    return failure
end

globals.__redis__err__handler = handler

-- Replies

local encode

local function clean(message)
    return (gsub(gsub(message, "%z.*", ""), "[\r\n]", " "))
end

local function encode_table(out, value, protocol, depth)
    local field = rawget(value, "err")
    if type(field) == "string" then
        out[#out + 1] = "-" .. clean((gsub(field, "[\r\n]+$", ""))) .. "\r\n"
        return
    end
    field = rawget(value, "ok")
    if type(field) == "string" then
        out[#out + 1] = "+" .. clean(field) .. "\r\n"
        return
    end
    field = rawget(value, "double")
    if type(field) == "number" then
        local digits = field == 0 and 1 / field < 0 and "-0" or host_format_double(field)
        out[#out + 1] = protocol == 3 and "," .. digits .. "\r\n"
            or "$" .. #digits .. "\r\n" .. digits .. "\r\n"
        return
    end
    field = rawget(value, "map")
    if type(field) == "table" then
        local head, count = #out + 1, 0
        out[head] = ""
        for key, one in next, field do
            encode(out, key, protocol, depth + 3)
            encode(out, one, protocol, depth + 3)
            count = count + 1
        end
        out[head] = protocol == 3 and "%" .. count .. "\r\n" or "*" .. 2 * count .. "\r\n"
        return
    end
    field = rawget(value, "set")
    if type(field) == "table" then
        local head, count = #out + 1, 0
        out[head] = ""
        for key in next, field do
            encode(out, key, protocol, depth + 3)
            count = count + 1
        end
        out[head] = (protocol == 3 and "~" or "*") .. count .. "\r\n"
        return
    end
    field = rawget(value, "big_number")
    if type(field) == "string" then
        local digits = gsub(field, "[\r\n]", " ")
        out[#out + 1] = protocol == 3 and "(" .. digits .. "\r\n"
            or "$" .. #digits .. "\r\n" .. digits .. "\r\n"
        return
    end
    field = rawget(value, "verbatim_string")
    if type(field) == "table" then
        local words, kind = rawget(field, "string"), rawget(field, "format")
        if type(words) == "string" and type(kind) == "string" then
            if protocol == 3 then
                kind = sub(kind .. "   ", 1, 3)
                out[#out + 1] = "=" .. #words + 4 .. "\r\n" .. kind .. ":" .. words .. "\r\n"
            else
                out[#out + 1] = "$" .. #words .. "\r\n" .. words .. "\r\n"
            end
            return
        end
    end
    local head, count = #out + 1, 0
    out[head] = ""
    while true do
        local one = rawget(value, count + 1)
        if one == nil then
            break
        end
        encode(out, one, protocol, depth + 1)
        count = count + 1
    end
    out[head] = "*" .. count .. "\r\n"
end

local DEEPEST = 7995  -- slots of the stack that Redis has

function encode(out, value, protocol, depth)
    local kind = type(value)
    if depth > DEEPEST then
        out[#out + 1] = "-ERR reached lua stack limit\r\n"
    elseif kind == "string" then
        out[#out + 1] = "$" .. #value .. "\r\n"
        out[#out + 1] = value
        out[#out + 1] = "\r\n"
    elseif kind == "number" then
        out[#out + 1] = format(":%d\r\n", value)
    elseif kind == "boolean" then
        if speaks_3 then
            out[#out + 1] = protocol == 3 and (value and "#t\r\n" or "#f\r\n")
                or (value and ":1\r\n" or ":0\r\n")
        else
            out[#out + 1] = value and ":1\r\n" or protocol == 3 and "_\r\n" or "$-1\r\n"
        end
    elseif kind == "table" then
        encode_table(out, value, protocol, depth)
    else
        out[#out + 1] = protocol == 3 and "_\r\n" or "$-1\r\n"
    end
end

local function reply(value, protocol)
    local kind = type(value)
    if kind == "string" then
        return value
    elseif kind == "number" and value > -2147483648 and value < 2147483648 then
        return value < 0 and -floor(-value) or floor(value)
    elseif kind == "nil" or value == false and not speaks_3 then
        return nil
    elseif kind == "table" then
        local message = rawget(value, "err")
        if type(message) == "string" then
            return clean((gsub(message, "[\r\n]+$", ""))), "error",
                rawget(value, "ignore_error_stats_update") and true or false
        end
    end
    local out = {}
    encode(out, value, protocol, 1)
    return concat(out), "encoded"
end

-- What Python calls

local protocol_of_caller = 2

local function run_protected(f)
    local ok, value = xpcall(f, handler)
    if ok and not ending then
        return reply(value, protocol_of_caller)
    end
    if type(value) ~= "table" then  -- no memory for the handler
        return ending or MEMORY, "ended", false, false, false
    end
    local message = rawget(value, "err")
    if type(message) ~= "string" then
        message = "ERR unknown error"
    end
    local kind = "failed"
    if ending or message == "ERR " .. MEMORY then
        message, kind = ending or MEMORY, "ended"
    end
    local source, line = rawget(value, "source"), rawget(value, "line")
    return message, kind, type(source) == "string" and source or false,
        type(line) == "number" and line or false,
        rawget(value, "ignore_error_stats_update") and true or false
end

-- f without its tail calls, so that an error has its place
local function with_places(f)
    return loadstring(host.without_tail_calls(dump(f)))
end

local exported = {}

-- Run f with keys and arguments, of which the first so many are keys
function exported.run(f, protocol, keys, ...)
    ending, speaks_3, protocol_of_caller = nil, false, protocol
    if keys == 0 then
        globals.KEYS, globals.ARGV = {}, {...}
    elseif keys == 1 then
        globals.KEYS, globals.ARGV = {(...)}, {select(2, ...)}
    else
        globals.KEYS, globals.ARGV = {unpack({...}, 1, keys)}, {select(keys + 1, ...)}
    end
    return run_protected(f)
end

-- As run, for any number of them
function exported.run_with(f, protocol, keys, arguments)
    ending, speaks_3, protocol_of_caller = nil, false, protocol
    globals.KEYS, globals.ARGV = keys, arguments
    return run_protected(f)
end

function exported.compile(body, name)
    local f, message = loadstring(as_source(body), name)
    if f then
        return setfenv(with_places(f), base._G)
    end
    return nil, as_told(message)
end

-- Let go of what the last script had
function exported.forget()
    globals.KEYS, globals.ARGV = nil, nil
end

-- lupa's own way holds the GIL: a second for a million tables
function exported.collect()
    collectgarbage("collect")
end

function exported.set_danger(kilobytes)
    danger = kilobytes
end

-- For functions.lua
exported.inside = {
    readonly = readonly, nonexistent = nonexistent, refuse = refuse, refuse_call = refuse_call,
    run_protected = run_protected, with_places = with_places, globals = globals, redis = redis,
    lua = {
        loadstring = loadstring, pcall = pcall, rawget = rawget, setfenv = setfenv,
        setmetatable = setmetatable, next = next, select = select, tostring = tostring,
        type = type, unpack = unpack, find = find, lower = string.lower,
    },
    begin = function(protocol)
        ending, speaks_3, protocol_of_caller = nil, false, protocol
    end,
    -- Why what has run had to end, if so; failure: what it has raised
    ended = function(failure)
        return ending or (failure == MEMORY and MEMORY)
    end,
}

sethook(check_hook, "", host.instructions)

-- Whatever is loaded without an environment of ours, or made by Python, finds nothing. What lupa
-- looks up itself is there, so that to look it up takes no memory.
local originals = _G
for name in next, originals do
    originals[name] = nil
end
originals.debug = false

return exported
