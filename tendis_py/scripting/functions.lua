-- Libraries of functions: what they see while they are loaded, how they register, how they are
-- called. Read by functions.py, after prelude.lua, in runtimes that are for functions only.

local inside = ...  -- what the prelude shares with this file

local readonly, nonexistent = inside.readonly, inside.nonexistent
local refuse, refuse_call = inside.refuse, inside.refuse_call
local begin, ended, run_protected = inside.begin, inside.ended, inside.run_protected
local with_places = inside.with_places
local globals, redis, lua = inside.globals, inside.redis, inside.lua

local loadstring, pcall, rawget, setfenv = lua.loadstring, lua.pcall, lua.rawget, lua.setfenv
local setmetatable, next, select, tostring = lua.setmetatable, lua.next, lua.select, lua.tostring
local type, unpack, find, lower = lua.type, lua.unpack, lua.find, lua.lower

for _, name in next, {"replicate_commands", "breakpoint", "debug"} do
    redis[name] = nil
end
globals.server = nil
globals.__redis__err__handler = nil

-- Registering

local FLAGS = {}
for _, flag in next, {"no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"} do
    FLAGS[flag] = true
end

local MOST = 10000  -- functions of a library: it is stored in one piece

local registered = nil  -- what the library that is loaded has registered; nil: none is
local names = nil       -- of that

local function is_text(value)
    return type(value) == "string" or type(value) == "number"
end

local function read_flags(flags)
    local given, at = {}, 1
    while flags[at] ~= nil do
        local flag = is_text(flags[at]) and lower(tostring(flags[at]))
        if not FLAGS[flag] then
            refuse_call("unknown flag given")
        end
        given[flag] = true
        at = at + 1
    end
    return given
end

local function read_named(arguments)
    local name, description, callback
    local flags = {}
    for key, value in next, arguments do
        if not is_text(key) then
            refuse_call("named argument key given to redis.register_function is not a string")
        end
        key = lower(tostring(key))
        if key == "function_name" then
            if not is_text(value) then
                refuse_call("function_name argument given to redis.register_function must be a string")
            end
            name = tostring(value)
        elseif key == "description" then
            if not is_text(value) then
                refuse_call("description argument given to redis.register_function must be a string")
            end
            description = tostring(value)
        elseif key == "callback" then
            if type(value) ~= "function" then
                refuse_call("callback argument given to redis.register_function must be a function")
            end
            callback = value
        elseif key == "flags" then
            if type(value) ~= "table" then
                refuse_call("flags argument to redis.register_function must be a table representing function flags")
            end
            flags = read_flags(value)
        else
            refuse_call("unknown argument given to redis.register_function")
        end
    end
    if not name then
        refuse_call("redis.register_function must get a function name argument")
    elseif not callback then
        refuse_call("redis.register_function must get a callback argument")
    end
    return name, callback, description, flags
end

local function read_two(name, callback)
    if not is_text(name) then
        refuse_call("first argument to redis.register_function must be a string")
    elseif type(callback) ~= "function" then
        refuse_call("second argument to redis.register_function must be a function")
    end
    return tostring(name), callback, nil, {}
end

local function register_function(...)
    local count = select("#", ...)
    local first = ...
    if not registered then
        refuse_call("redis.register_function can only be called on FUNCTION LOAD command")
    elseif count < 1 or count > 2 then
        refuse_call("wrong number of arguments to redis.register_function")
    elseif count == 1 and type(first) ~= "table" then
        refuse_call("calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).")
    end
    local read = count == 1 and read_named or read_two
    local name, callback, description, flags = read(...)
    if not find(name, "^[%w_]+$") then
        refuse_call("Library names can only contain letters, numbers, or underscores(_) and must be at least one character long")
    elseif names[name] then
        refuse_call("Function already exists in the library")
    elseif #registered == MOST then
        refuse_call("A library may have 10000 functions")
    end
    names[name] = true
    registered[#registered + 1] = {name = name, callback = callback, description = description, flags = flags}
end

-- What the code of libraries sees: hardly anything while it is loaded, all of it afterwards

local while_loading = setmetatable({
    redis = readonly({
        register_function = register_function, log = redis.log,
        LOG_DEBUG = redis.LOG_DEBUG, LOG_VERBOSE = redis.LOG_VERBOSE,
        LOG_NOTICE = redis.LOG_NOTICE, LOG_WARNING = redis.LOG_WARNING,
        REDIS_VERSION = redis.REDIS_VERSION, REDIS_VERSION_NUM = redis.REDIS_VERSION_NUM,
    }, nonexistent),
}, {__index = nonexistent})

local sight = {__index = globals, __newindex = refuse, __metatable = false}
local environment = setmetatable({}, sight)

local exported = {}

-- Run the code of a library: a table of what it registers; or nil, why not, and whether that was
-- for "syntax", had "failed", or the code had to be "ended"
function exported.load(body)
    local chunk, message = loadstring(body, "@user_function")
    if not chunk then
        return nil, message, "syntax"
    end
    chunk = setfenv(with_places(chunk), environment)
    begin()
    registered, names, sight.__index = {}, {}, while_loading
    local ok, failure = pcall(chunk)
    local found = registered
    registered, names, sight.__index = nil, nil, globals
    local ending = ended(failure)
    if ending then
        return nil, ending, "ended"
    elseif not ok then
        return nil, type(failure) == "table" and tostring(rawget(failure, "err")) or "ERR " .. tostring(failure), "failed"
    end
    return found
end

local called, with_keys, with_arguments

local function apply()
    return called(with_keys, with_arguments)
end

-- Call a function, with the first so many of the arguments as its keys
function exported.call(f, protocol, keys, ...)
    begin(protocol)
    called = f
    if keys == 1 then
        with_keys, with_arguments = {(...)}, {select(2, ...)}
    elseif keys == 0 then
        with_keys, with_arguments = {}, {...}
    else
        with_keys, with_arguments = {unpack({...}, 1, keys)}, {select(keys + 1, ...)}
    end
    return run_protected(apply)
end

-- As call, for any number of them
function exported.call_with(f, protocol, keys, arguments)
    begin(protocol)
    called, with_keys, with_arguments = f, keys, arguments
    return run_protected(apply)
end

-- Let go of what the last function had
function exported.forget()
    called, with_keys, with_arguments = nil, nil, nil
end

return exported
