-- The library `cmsgpack`: lua-cmsgpack 0.4.0 as Redis has it, with its results, limits and words.
local check, floats = ...
local byte, char, concat, sub = string.byte, string.char, table.concat, string.sub
local error, floor, format, huge, next, select, type, unpack =
    error, math.floor, string.format, math.huge, next, select, type, unpack
local double_to_words, words_to_double = floats.double_to_words, floats.words_to_double
local float_to_word, word_to_float = floats.float_to_word, floats.word_to_float

local STACK = 8000  -- how many values a C function of Lua's may hold
local NESTING = 16  -- tables deeper than this are packed as nil
local LONG = 0x8000000000000000
local WORD = 0x100000000
local TOO_MANY = "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)"

local function pack_word(word)
    return char(floor(word / 0x1000000), floor(word / 0x10000) % 0x100, floor(word / 0x100) % 0x100,
        word % 0x100)
end

-- A header with the shortest of its lengths: below `few` in the byte `small` itself, or in the one, two
-- or four bytes that follow.
local function pack_header(length, small, few, one, two, four)
    if length < few then return char(small + length) end
    if one and length < 0x100 then return char(one, length) end
    if length < 0x10000 then return char(two, floor(length / 0x100), length % 0x100) end
    return char(four) .. pack_word(length)
end

local function pack_number(number)
    if number < -LONG or number >= LONG or floor(number) ~= number then
        local word = float_to_word(number)
        if word_to_float(word) == number then return "\202" .. pack_word(word) end
        local high, low = double_to_words(number)
        return "\203" .. pack_word(high) .. pack_word(low)
    end
    if number >= 0 then
        if number < 0x80 then return char(number) end
        if number < 0x100 then return char(204, number) end
        if number < 0x10000 then return char(205, floor(number / 0x100), number % 0x100) end
        if number < WORD then return "\206" .. pack_word(number) end
        return "\207" .. pack_word(floor(number / WORD)) .. pack_word(number % WORD)
    end
    if number >= -32 then return char(0x100 + number) end
    if number >= -0x80 then return char(208, 0x100 + number) end
    if number >= -0x8000 then
        number = number + 0x10000
        return char(209, floor(number / 0x100), number % 0x100)
    end
    if number >= -0x80000000 then return "\210" .. pack_word(number + WORD) end
    return "\211" .. pack_word(floor(number / WORD) % WORD) .. pack_word(number % WORD)
end

-- n, if the keys of `table` are 1 to n; else nil.
local function array_length(table)
    local count, most = 0, 0
    for key in next, table do
        if type(key) ~= "number" or key <= 0 or key > 0x7fffffff or floor(key) ~= key then return nil end
        if key > most then most = key end
        count = count + 1
    end
    return count == most and count or nil
end

-- Appends `value` to `out`, which has `n` parts; the new number of parts.
local function append(out, n, value, level)
    local kind = type(value)
    if kind == "string" then
        out[n + 1] = pack_header(#value, 160, 32, 217, 218, 219)
        out[n + 2] = value
        return n + 2
    elseif kind == "number" then
        out[n + 1] = pack_number(value)
    elseif kind == "boolean" then
        out[n + 1] = value and "\195" or "\194"
    elseif kind ~= "table" or level == NESTING then
        out[n + 1] = "\192"
    else
        local length = array_length(value)
        if length then
            n = n + 1
            out[n] = pack_header(length, 144, 16, nil, 220, 221)
            for index = 1, length do n = append(out, n, value[index], level + 1) end
            return n
        end
        length = 0
        for _ in next, value do length = length + 1 end
        n = n + 1
        out[n] = pack_header(length, 128, 16, nil, 222, 223)
        for key, element in next, value do
            n = append(out, n, key, level + 1)
            n = append(out, n, element, level + 1)
        end
        return n
    end
    return n + 1
end

-- Reading. Each reader returns the value at `at` and where what follows begins; or nil and nil, and
-- `failure` says what is wrong.
local failure

local function missing()
    failure = "Missing bytes in input."
    return nil, nil
end

local value_at

-- `slots`: how much of its stack lua-cmsgpack would have used.
local function array_at(text, at, length, slots)
    local array = {}
    if slots + 2 > STACK then
        failure = "stack overflow (in function mp_decode_to_lua_array)"
        return nil, nil
    end
    for index = 1, length do
        array[index], at = value_at(text, at, slots + 2)
        if not at then return nil, nil end
    end
    return array, at
end

local function map_at(text, at, length, slots)
    local map, key, value = {}, nil, nil
    for _ = 1, length do
        key, at = value_at(text, at, slots + 1)
        if not at then return nil, nil end
        value, at = value_at(text, at, slots + 2)
        if not at then return nil, nil end
        if key == nil then error("table index is nil", 0) end
        if key ~= key then error("table index is NaN", 0) end
        map[key] = value
    end
    return map, at
end

local function string_at(text, at, length)
    local last = at + length - 1
    if last > #text then return missing() end
    return sub(text, at, last), at + length
end

local function byte_at(text, at)
    local a = byte(text, at)
    if not a then return missing() end
    return a, at + 1
end

local function short_at(text, at)
    local a, b = byte(text, at, at + 1)
    if not b then return missing() end
    return a * 0x100 + b, at + 2
end

local function word_at(text, at)
    local a, b, c, d = byte(text, at, at + 3)
    if not d then return missing() end
    return a * 0x1000000 + b * 0x10000 + c * 0x100 + d, at + 4
end

-- Two words, as a signed long: what lua-cmsgpack makes of an unsigned one, too.
local function long_at(text, at)
    local high, middle = word_at(text, at)
    if not middle then return nil, nil end
    local low, after = word_at(text, middle)
    if not after then return nil, nil end
    if high >= 0x80000000 then high = high - WORD end
    return high * WORD + low, after
end

-- `read`, whose results of at least `limit` are negative ones.
local function signed(read, limit)
    return function(text, at)
        local number, after = read(text, at)
        if after and number >= limit then number = number - 2 * limit end
        return number, after
    end
end

-- What begins with its length, which `read_length` reads, and goes on as `read` says.
local function counted(read_length, read)
    return function(text, at, slots)
        local length, from = read_length(text, at)
        if not from then return nil, nil end
        return read(text, from, length, slots)
    end
end

local READERS = {
    [0xc0] = function(_, at) return nil, at end,
    [0xc2] = function(_, at) return false, at end,
    [0xc3] = function(_, at) return true, at end,
    [0xca] = function(text, at)
        local word, after = word_at(text, at)
        return after and word_to_float(word), after
    end,
    [0xcb] = function(text, at)
        local high, middle = word_at(text, at)
        if not middle then return nil, nil end
        local low, after = word_at(text, middle)
        return after and words_to_double(high, low), after
    end,
    [0xcc] = byte_at,
    [0xcd] = short_at,
    [0xce] = word_at,
    [0xcf] = long_at,
    [0xd0] = signed(byte_at, 0x80),
    [0xd1] = signed(short_at, 0x8000),
    [0xd2] = signed(word_at, 0x80000000),
    [0xd3] = long_at,
    [0xd9] = counted(byte_at, string_at),
    [0xda] = counted(short_at, string_at),
    [0xdb] = counted(word_at, string_at),
    [0xdc] = counted(short_at, array_at),
    [0xdd] = counted(word_at, array_at),
    [0xde] = counted(short_at, map_at),
    [0xdf] = counted(word_at, map_at),
}

function value_at(text, at, slots)
    local first = byte(text, at)
    if not first then return missing() end
    if slots + 1 > STACK then
        failure = TOO_MANY
        return nil, nil
    end
    at = at + 1
    if first < 0x80 then return first, at end
    if first < 0x90 then return map_at(text, at, first - 0x80, slots) end
    if first < 0xa0 then return array_at(text, at, first - 0x90, slots) end
    if first < 0xc0 then return string_at(text, at, first - 0xa0) end
    if first >= 0xe0 then return first - 0x100, at end
    local read = READERS[first]
    if read then return read(text, at, slots) end
    failure = "Bad data format in input."
    return nil, nil
end

-- At most `limit` values from `offset` on, behind `before` free places: how many, they, and the next
-- offset (-1 at the end); or nil and what is wrong.
local function read_values(text, limit, offset, before)
    local values, count, at = {}, 0, offset + 1
    while at <= #text and count < limit do
        count = count + 1
        values[before + count], at = value_at(text, at, count)
        if not at then return nil, failure end
    end
    if count > STACK - 3 then return nil, TOO_MANY end  -- what `unpack` can return
    return count, values, at > #text and -1 or at - 1
end

local function int(number)
    return (number + 0x80000000) % WORD - 0x80000000
end

-- `unpack_one` and `unpack_limit` from their arguments; nil and what is wrong, for the script's line.
local function read_some(text, limit, offset)
    if offset < 0 or limit < 0 then
        return nil, format("Invalid request to unpack with offset of %d and limit of %d.", int(offset), #text)
    end
    if offset > #text then
        return nil, format("Start offset %d greater than input length %d.", int(offset), #text)
    end
    if limit == 0 and offset == 0 then
        return read_values(text, huge, 0, 0)
    end
    local count, values, following = read_values(text, limit, offset, 1)
    if not count then return nil, values end
    values[1] = following
    return count + 1, values
end

local cmsgpack = {
    _NAME = "cmsgpack",
    _VERSION = "lua-cmsgpack 0.4.0",
    _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo",
    _DESCRIPTION = "MessagePack C implementation for Lua",
}

function cmsgpack.pack(...)
    local given = select("#", ...)
    if given == 0 then check.refuse(0, "MessagePack pack needs input.") end
    if given * 2 > STACK then check.refuse(0, "Too many arguments for MessagePack pack.") end
    local values, out, n = { ... }, {}, 0
    for position = 1, given do n = append(out, n, values[position], 0) end
    return (concat(out))
end

function cmsgpack.unpack(...)
    local given = select("#", ...)
    local text = check.string((...), 1, given)
    local count, values = read_values(text, huge, 0, 0)
    if not count then error(values, 2) end
    return unpack(values, 1, count)
end

function cmsgpack.unpack_one(...)
    local given = select("#", ...)
    local text, offset = ...
    if offset == nil then offset = 0 else offset = check.integer(offset, 2, given) end
    text = check.string(text, 1, given)
    local count, values = read_some(text, 1, offset)
    if not count then error(values, 2) end
    return unpack(values, 1, count)
end

function cmsgpack.unpack_limit(...)
    local given = select("#", ...)
    local text, limit, offset = ...
    limit = check.integer(limit, 2, given)
    if offset == nil then offset = 0 else offset = check.integer(offset, 3, given) end
    text = check.string(text, 1, given)
    local count, values = read_some(text, limit, offset)
    if not count then error(values, 2) end
    return unpack(values, 1, count)
end

return cmsgpack
