-- What a C function of Lua's says of its arguments, for the libraries that are Lua here: the checks of
-- lauxlib, with their words. They are called from the function that the script called, directly, so
-- that level 3 is the script.
local debug_info, error, floor, format, tonumber, tostring, type =
    debug.getinfo, error, math.floor, string.format, tonumber, tostring, type

local check = {}

-- Called by a check, which the library's function called.
local function refuse(position, reason)
    local called = debug_info(3, "n")
    if called.namewhat == "method" then
        position = position - 1
        if position == 0 then
            error(format("calling '%s' on bad self (%s)", called.name, reason), 4)
        end
    end
    error(format("bad argument #%d to '%s' (%s)", position, called.name or "?", reason), 4)
end

function check.refuse(position, reason)
    refuse(position, reason)
end

-- `given`: how many arguments there are, as one that is missing has no type.
local function got(value, position, given)
    return position > given and "no value" or type(value)
end

function check.string(value, position, given)
    local kind = type(value)
    if kind == "string" then return value end
    if kind == "number" then return tostring(value) end
    refuse(position, "string expected, got " .. got(value, position, given))
end

function check.number(value, position, given)
    return tonumber(value) or refuse(position, "number expected, got " .. got(value, position, given))
end

-- A double as the processor makes a long of it.
function check.long(number)
    if number >= -0x8000000000000000 and number < 0x8000000000000000 then
        return number < 0 and -floor(-number) or floor(number)
    end
    return -0x8000000000000000
end

function check.integer(value, position, given)
    local number = tonumber(value)
    if not number then
        refuse(position, "number expected, got " .. got(value, position, given))
    end
    return check.long(number)
end

return check
