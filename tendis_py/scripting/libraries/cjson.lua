-- The library `cjson`: lua-cjson 2.1.0 as Redis has it, with its results, its limits and its words.
-- Errors carry the script's line: `depth` counts the calls from the library's function down, so that
-- `error` finds it.
local check, changed = ...
local byte, char, concat, error, find, format, gsub, sub =
    string.byte, string.char, table.concat, error, string.find, string.format, string.gsub, string.sub
local floor, getmetatable, huge, lower, match, next, rawget, select, tonumber, type =
    math.floor, getmetatable, math.huge, string.lower, string.match, next, rawget, select, tonumber, type

local STACK = 8000  -- how many values a C function of Lua's may hold, which ends very deep nesting
local INT_MAX, INT_MIN = 0x7fffffff, -0x80000000

-- A light userdata in Redis; here the one userdata that there is.
local null = newproxy(true)
getmetatable(null).__tostring = function() return "userdata: (nil)" end
getmetatable(null).__metatable = false

local UNSAFE = '[%c"\\/]'
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/" }
for code = 0, 31 do ESCAPES[char(code)] = format("\\u%04x", code) end
ESCAPES["\127"] = "\\u007f"
ESCAPES["\b"], ESCAPES["\t"], ESCAPES["\n"] = "\\b", "\\t", "\\n"
ESCAPES["\f"], ESCAPES["\r"] = "\\f", "\\r"

-- By the byte behind a backslash.
local UNESCAPED = {
    [34] = '"', [92] = "\\", [47] = "/", [98] = "\b", [116] = "\t", [110] = "\n", [102] = "\f",
    [114] = "\r",
}

-- By the first byte, in the words of lua-cjson's errors.
local TOKENS = {
    [123] = "T_OBJ_BEGIN", [125] = "T_OBJ_END", [91] = "T_ARR_BEGIN", [93] = "T_ARR_END",
    [58] = "T_COLON", [44] = "T_COMMA",
}
local NUMERIC = { [105] = true, [73] = true, [110] = true, [78] = true, [43] = true }  -- i I n N +

local function utf8(code)
    if code < 0x80 then return char(code) end
    if code < 0x800 then return char(0xc0 + floor(code / 0x40), 0x80 + code % 0x40) end
    local last = 0x80 + code % 0x40
    local middle = 0x80 + floor(code / 0x40) % 0x40
    if code < 0x10000 then return char(0xe0 + floor(code / 0x1000), middle, last) end
    return char(0xf0 + floor(code / 0x40000), 0x80 + floor(code / 0x1000) % 0x40, middle, last)
end

-- The \uXXXX at `at`, or the two of a surrogate pair: their text and where what follows begins.
local function unicode_escape(text, at)
    local digits = match(text, "^%x%x%x%x", at + 2)
    if not digits then return nil end
    local code = tonumber(digits, 16)
    if code < 0xd800 or code > 0xdfff then return utf8(code), at + 6 end
    if code >= 0xdc00 then return nil end
    digits = match(text, "^\\u(%x%x%x%x)", at + 6)
    local second = digits and tonumber(digits, 16)
    if not second or second < 0xdc00 or second > 0xdfff then return nil end
    return utf8(0x10000 + (code - 0xd800) * 0x400 + second - 0xdc00), at + 12
end

-- Where the number that strtod would read ends; nil if there is none.
local function number_end(text, at)
    local _, start = find(text, "^[+-]", at)
    start = (start or at - 1) + 1
    local _, last = find(text, "^0[xX]%x*%.?%x*", start)
    if last and find(text, "%x", start + 2) and find(text, "^%.?%x", start + 2) then
        local _, exponent = find(text, "^[pP][+-]?%d+", last + 1)
        return exponent or last
    end
    _, last = find(text, "^%d+%.?%d*", start)
    if not last then _, last = find(text, "^%.%d+", start) end
    if last then
        local _, exponent = find(text, "^[eE][+-]?%d+", last + 1)
        return exponent or last
    end
    local word = lower(sub(text, start, start + 7))
    if word == "infinity" then return start + 7 end
    word = sub(word, 1, 3)
    if word == "inf" then return start + 2 end
    if word == "nan" then
        _, last = find(text, "^%([%w_]*%)", start + 3)
        return last or start + 2
    end
    return nil
end

-- Whether what begins at `at` is one of the numbers that strtod knows and JSON does not.
local function unlike_json(text, at)
    local first = byte(text, at)
    if first == 43 then return true end
    if first == 45 then at = at + 1 end
    first = byte(text, at)
    if first == 48 then return find(text, "^[xX%d]", at + 1) ~= nil end
    local word = lower(sub(text, at, at + 2))
    return word == "inf" or word == "nan"
end

-- Whether `value` is one of lua-cjson's names for a setting: its number and its reply.
local ON_OFF = { off = 0, on = 1 }
local ON_OFF_NULL = { off = 0, on = 1, null = 2 }

local new

-- A library with these settings; `changed` is told when one is set, if somebody wants to know.
local function make(settings, changed)
    local cjson = { null = null, _NAME = "cjson", _VERSION = "2.1.0", new = new }

    -- Appends the text of `value` to `out`, which has `n` parts; the new number of parts. `slots`: how
    -- much of its stack lua-cjson would have used.
    local function append(out, n, value, depth, slots)
        local kind = type(value)
        if kind == "string" then
            if find(value, UNSAFE) then value = gsub(value, UNSAFE, ESCAPES) end
            out[n + 1], out[n + 2], out[n + 3] = '"', value, '"'
            return n + 3
        elseif kind == "number" then
            if value - value ~= 0 then  -- infinite, or not a number
                local allowed = settings.encode_invalid_numbers
                if allowed == 0 then
                    error("Cannot serialise number: must not be NaN or Inf", depth + 2)
                elseif allowed == 2 then
                    value = "null"
                elseif value ~= value then
                    value = "nan"
                end
            elseif settings.encode_number_precision ~= 14 then
                value = format("%." .. settings.encode_number_precision .. "g", value)
            end
            out[n + 1] = value
            return n + 1
        elseif kind == "boolean" then
            out[n + 1] = value and "true" or "false"
            return n + 1
        elseif kind == "nil" or value == null then
            out[n + 1] = "null"
            return n + 1
        elseif kind ~= "table" then
            error("Cannot serialise " .. kind .. ": type not supported", depth + 2)
        end

        if depth > settings.encode_max_depth or slots + 3 > STACK then
            error(format("Cannot serialise, excessive nesting (%d)", depth), depth + 2)
        end
        local length, items = 0, 0
        for key in next, value do
            if type(key) ~= "number" or key < 1 or floor(key) ~= key then
                length = 0
                break
            end
            if key > length then length = key <= INT_MAX and key or INT_MIN end
            items = items + 1
        end
        if length > settings.encode_sparse_safe and settings.encode_sparse_ratio > 0 then
            local most = items * settings.encode_sparse_ratio  -- an int, which may go over
            most = (most + 0x80000000) % 0x100000000 - 0x80000000
            if length > most then
                if settings.encode_sparse_convert == 0 then
                    error("Cannot serialise table: excessively sparse array", depth + 2)
                end
                length = 0
            end
        end

        if length > 0 then
            local opening = "["
            for index = 1, length do
                out[n + 1] = opening
                opening = ","
                n = append(out, n + 1, rawget(value, index), depth + 1, slots + 1)
            end
            out[n + 1] = "]"
            return n + 1
        end
        local opening = '{"'
        for key, element in next, value do
            kind = type(key)
            if kind == "string" then
                if find(key, UNSAFE) then key = gsub(key, UNSAFE, ESCAPES) end
            elseif kind ~= "number" then
                error("Cannot serialise " .. kind .. ": table key must be a number or string", depth + 2)
            else
                append(out, n + 1, key, depth + 1, slots)
                key = out[n + 2]
            end
            out[n + 1], out[n + 2], out[n + 3] = opening, key, '":'
            opening = ',"'
            n = append(out, n + 3, element, depth + 1, slots + 2)
        end
        out[n + 1] = opening == '{"' and "{}" or "}"
        return n + 1
    end

    function cjson.encode(...)
        if select("#", ...) ~= 1 then check.refuse(1, "expected 1 argument") end
        local out = {}
        append(out, 0, (...), 1, 1)
        return (concat(out))
    end

    local next_escape  -- the next backslash in the text being decoded, from where it has been read

    -- The string that begins at `at` (a quote), and where what follows begins; or nil, what is wrong
    -- and where.
    local function read_string(text, at)
        local from, pieces, n = at + 1, {}, 0
        while next_escape < from do next_escape = find(text, "\\", from, true) or huge end
        local closing = find(text, '"', from, true) or huge
        while next_escape < closing do
            local escape, piece = next_escape, nil
            pieces[n + 1] = sub(text, from, escape - 1)
            local code = byte(text, escape + 1)
            if code == 117 then  -- u
                piece, from = unicode_escape(text, escape)
                if not piece then return nil, "invalid unicode escape code", escape end
            else
                piece, from = UNESCAPED[code], escape + 2
                if not piece then return nil, "invalid escape code", escape end
            end
            pieces[n + 2] = piece
            n = n + 2
            if closing < from then closing = find(text, '"', from, true) or huge end
            next_escape = find(text, "\\", from, true) or huge
        end
        if closing == huge then return nil, "unexpected end of string", #text + 1 end
        pieces[n + 1] = sub(text, from, closing - 1)
        return concat(pieces), closing + 1
    end

    -- The number that begins at `at`, and where what follows begins.
    local function read_number(text, at)
        local last = number_end(text, at)
        if not last then return nil end
        return tonumber(sub(text, at, last)), last + 1
    end

    -- lua-cjson's word for the token at `at`, or what is wrong with it; and where.
    local function describe(text, at)
        local first = byte(text, at)
        if not first then return "T_END", at end
        if TOKENS[first] then return TOKENS[first], at end
        if first == 34 then
            next_escape = find(text, "\\", at, true) or huge  -- it may have been read before
            local value, wrong, where = read_string(text, at)
            if value then return "T_STRING", at end
            return wrong, where
        end
        if first == 45 or first >= 48 and first <= 57 then
            if settings.decode_invalid_numbers == 0 and unlike_json(text, at) then
                return "invalid number", at
            end
            return number_end(text, at) and "T_NUMBER" or "invalid number", at
        end
        if find(text, "^true", at) or find(text, "^false", at) then return "T_BOOLEAN", at end
        if find(text, "^null", at) then return "T_NULL", at end
        if NUMERIC[first] and settings.decode_invalid_numbers == 1 and unlike_json(text, at) then
            return number_end(text, at) and "T_NUMBER" or "invalid number", at
        end
        return "invalid token", at
    end

    local function unexpected(expected, text, at, depth)
        local found, where = describe(text, at)
        error(format("Expected %s but found %s at character %d", expected, found, where), depth + 3)
    end

    -- The value at `at`, and where what follows begins. `depth` is that of a container there, `slots` as
    -- in `append`.
    local function value_at(text, at, depth, slots)
        local first = byte(text, at)
        if first and first <= 32 then
            at = find(text, "[^ \t\r\n]", at) or #text + 1
            first = byte(text, at)
        end

        if first == 34 then
            local closing = find(text, '"', at + 1, true)
            if next_escape > at and closing and closing < next_escape then
                return sub(text, at + 1, closing - 1), closing + 1
            end
            local value, after = read_string(text, at)
            if not value then unexpected("value", text, at, depth) end
            return value, after
        end

        if first == 123 then  -- {
            if depth > settings.decode_max_depth or slots + 3 > STACK then
                error(
                    format("Found too many nested data structures (%d) at character %d", depth, at),
                    depth + 2
                )
            end
            local object, key, element = {}, nil, nil
            at = at + 1
            first = byte(text, at)
            if first and first <= 32 then
                at = find(text, "[^ \t\r\n]", at) or #text + 1
                first = byte(text, at)
            end
            if first == 125 then return object, at + 1 end
            while true do
                if first ~= 34 then unexpected("object key string", text, at, depth) end
                local closing = find(text, '"', at + 1, true)
                if next_escape > at and closing and closing < next_escape then
                    key, at = sub(text, at + 1, closing - 1), closing + 1
                else
                    local from = at
                    key, at = read_string(text, from)
                    if not key then unexpected("object key string", text, from, depth) end
                end
                first = byte(text, at)
                if first ~= 58 then
                    at = find(text, "[^ \t\r\n]", at) or #text + 1
                    if byte(text, at) ~= 58 then unexpected("colon", text, at, depth) end
                end
                element, at = value_at(text, at + 1, depth + 1, slots + 2)
                object[key] = element
                first = byte(text, at)
                if first and first <= 32 then
                    at = find(text, "[^ \t\r\n]", at) or #text + 1
                    first = byte(text, at)
                end
                if first == 125 then return object, at + 1 end
                if first ~= 44 then unexpected("comma or object end", text, at, depth) end
                at = at + 1
                first = byte(text, at)
                if first and first <= 32 then
                    at = find(text, "[^ \t\r\n]", at) or #text + 1
                    first = byte(text, at)
                end
            end
        end

        if first == 91 then  -- [
            if depth > settings.decode_max_depth or slots + 2 > STACK then
                error(
                    format("Found too many nested data structures (%d) at character %d", depth, at),
                    depth + 2
                )
            end
            local array, length = {}, 0
            at = at + 1
            first = byte(text, at)
            if first and first <= 32 then
                at = find(text, "[^ \t\r\n]", at) or #text + 1
                first = byte(text, at)
            end
            if first == 93 then return array, at + 1 end
            while true do
                length = length + 1
                array[length], at = value_at(text, at, depth + 1, slots + 1)
                first = byte(text, at)
                if first and first <= 32 then
                    at = find(text, "[^ \t\r\n]", at) or #text + 1
                    first = byte(text, at)
                end
                if first == 93 then return array, at + 1 end
                if first ~= 44 then unexpected("comma or array end", text, at, depth) end
                at = at + 1
            end
        end

        if first and (first == 45 or first >= 48 and first <= 57) then
            if settings.decode_invalid_numbers == 0 and unlike_json(text, at) then
                unexpected("value", text, at, depth)
            end
            local _, last = find(text, "^-?%d+", at)
            if last and not find(text, "^[.eExX]", last + 1) then
                return tonumber(sub(text, at, last)), last + 1
            end
            local value, after = read_number(text, at)
            if not value then unexpected("value", text, at, depth) end
            return value, after
        end
        if find(text, "^true", at) then return true, at + 4 end
        if find(text, "^false", at) then return false, at + 5 end
        if find(text, "^null", at) then return null, at + 4 end
        if NUMERIC[first] and settings.decode_invalid_numbers == 1 and unlike_json(text, at) then
            local value, after = read_number(text, at)
            if value then return value, after end
        end
        unexpected("value", text, at, depth)
    end

    function cjson.decode(...)
        local given = select("#", ...)
        if given ~= 1 then check.refuse(1, "expected 1 argument") end
        local text = check.string((...), 1, given)
        local zero = find(text, "\0", 1, true)
        if zero then  -- the end, for what reads C's strings
            if zero <= 2 and #text >= 2 then
                error("JSON parser does not support UTF-16 or UTF-32", 2)
            end
            text = sub(text, 1, zero - 1)
        end
        next_escape = find(text, "\\", 1, true) or huge
        local value, at = value_at(text, 1, 1, 1)
        at = find(text, "[^ \t\r\n]", at)
        if at then
            local found, where = describe(text, at)
            error(format("Expected the end but found %s at character %d", found, where), 2)
        end
        return value
    end

    -- Settings. Each function sets what it is given and returns what there is.
    local function set(name, value)
        settings[name] = value
        if changed then changed(name, value) end
    end

    local function integer_setting(name, least, most)
        cjson[name] = function(...)
            local given = select("#", ...)
            if given > 1 then check.refuse(2, "found too many arguments") end
            local value = ...
            if value ~= nil then
                local number = check.integer(value, 1, given)
                number = (number + 0x80000000) % 0x100000000 - 0x80000000
                if number < least or number > most then
                    check.refuse(1, format("expected integer between %d and %d", least, most))
                end
                set(name, number)
            end
            return settings[name]
        end
    end

    -- The number of a choice, or nil and why it is refused.
    local function choice(value, names)
        if value == true then return 1 end
        if value == false then return 0 end
        local kind = type(value)
        if kind == "number" then value = format("%.14g", value) end
        if kind ~= "string" and kind ~= "number" then return nil, "string expected, got " .. kind end
        local number = names[match(value, "^%Z*")]
        if number then return number end
        return nil, "invalid option '" .. match(value, "^%Z*") .. "'"
    end

    local function choice_setting(name, names)
        cjson[name] = function(...)
            if select("#", ...) > 1 then check.refuse(2, "found too many arguments") end
            local value = ...
            if value ~= nil then
                local number, wrong = choice(value, names)
                if not number then check.refuse(1, wrong) end
                set(name, number)
            end
            if settings[name] == 2 then return "null" end
            return settings[name] == 1
        end
    end

    integer_setting("encode_max_depth", 1, INT_MAX)
    integer_setting("decode_max_depth", 1, INT_MAX)
    integer_setting("encode_number_precision", 1, 14)
    choice_setting("encode_keep_buffer", ON_OFF)
    choice_setting("encode_invalid_numbers", ON_OFF_NULL)
    choice_setting("decode_invalid_numbers", ON_OFF)

    function cjson.encode_sparse_array(...)
        local given = select("#", ...)
        if given > 3 then check.refuse(4, "found too many arguments") end
        local convert, ratio, safe = ...
        if convert ~= nil then
            local number, wrong = choice(convert, ON_OFF)
            if not number then check.refuse(1, wrong) end
            set("encode_sparse_convert", number)
        end
        if ratio ~= nil then
            ratio = check.integer(ratio, 2, given)
            ratio = (ratio + 0x80000000) % 0x100000000 - 0x80000000
            if ratio < 0 then check.refuse(1, "expected integer between 0 and 2147483647") end
            set("encode_sparse_ratio", ratio)
        end
        if safe ~= nil then
            safe = check.integer(safe, 3, given)
            safe = (safe + 0x80000000) % 0x100000000 - 0x80000000
            if safe < 0 then check.refuse(1, "expected integer between 0 and 2147483647") end
            set("encode_sparse_safe", safe)
        end
        return settings.encode_sparse_convert == 1, settings.encode_sparse_ratio, settings.encode_sparse_safe
    end

    return cjson
end

local function defaults()
    return {
        encode_sparse_convert = 0,
        encode_sparse_ratio = 2,
        encode_sparse_safe = 10,
        encode_max_depth = 1000,
        decode_max_depth = 1000,
        encode_number_precision = 14,
        encode_keep_buffer = 1,
        encode_invalid_numbers = 0,
        decode_invalid_numbers = 1,
    }
end

function new()
    return (make(defaults()))
end

local settings = defaults()

-- Takes over what was set elsewhere: a setting and its value, or none, and all are the defaults.
local function adopt(name, value)
    if name then
        settings[name] = value
    else
        for default, number in next, defaults() do settings[default] = number end
    end
end

return { cjson = make(settings, changed), adopt = adopt }
