-- The library `struct`: Roberto Ierusalimschy's, as Redis has it, with its results and words, on a
-- machine of 64 bits with the low byte first.
local check, floats = ...
local byte, char, concat, find, format, rep, reverse, sub =
    string.byte, string.char, table.concat, string.find, string.format, string.rep, string.reverse, string.sub
local error, floor, match, select, tonumber, unpack =
    error, math.floor, string.match, select, tonumber, unpack

local STACK = 8000  -- how many values a C function of Lua's may hold
local INT_MAX = 0x7fffffff
local LONG = 0x8000000000000000
local WORD = 0x100000000
local LARGEST_INTEGER = 32
local SIZES = { B = 1, b = 1, H = 2, h = 2, L = 8, l = 8, T = 8, f = 4, d = 8, x = 1 }
-- Option -> whether it is signed.
local INTEGERS = {
    b = true, B = false, h = true, H = false, l = true, L = false, T = false, i = true, I = false,
}

-- a and b, of which b is small.
local function conjunction(a, b)
    local result, weight = 0, 1
    while b > 0 do
        if a % 2 == 1 and b % 2 == 1 then result = result + weight end
        a, b, weight = floor(a / 2), floor(b / 2), weight * 2
    end
    return result
end

-- Reads a format, an option at a time.
local function reader(text)
    local zero = find(text, "\0", 1, true)
    if zero then text = sub(text, 1, zero - 1) end
    return { text = text, at = 1, big = false, align = 1 }
end

-- The number that may stand next in `state`'s format; -1 if it is too large.
local function number_next(state, default)
    local digits = match(state.text, "^%d+", state.at)
    if not digits then return default end
    state.at = state.at + #digits
    local number = tonumber(digits)
    return number <= INT_MAX and number or -1
end

-- The next option, its size and how much stands before it at `position` for alignment; nil at the end;
-- false and what is wrong.
local function option_next(state, position)
    local option = sub(state.text, state.at, state.at)
    if option == "" then return nil end
    state.at = state.at + 1
    local size = SIZES[option] or 0
    if option == "i" or option == "I" then
        size = number_next(state, 4)
        if size > LARGEST_INTEGER then
            return false, format("integral size %d is larger than limit of %d", size, LARGEST_INTEGER)
        end
    elseif option == "c" then
        size = number_next(state, 1)
    end
    if size < 0 then return false, "integral size overflow" end
    if state.align == 1 or size == 0 or option == "c" then return option, size, 0 end
    local unit = size > state.align and state.align or size
    return option, size, conjunction(unit - conjunction(position, unit - 1), unit - 1)
end

-- Does what an option that has no value says; false if there is no such option, or what is wrong.
local function control(state, option)
    if option == ">" then
        state.big = true
    elseif option == "<" then
        state.big = false
    elseif option == "!" then
        local align = number_next(state, 8)
        if align < 0 then return "integral size overflow" end
        if align == 0 or conjunction(align, align - 1) ~= 0 then
            return format("alignment %d is not a power of 2", align)
        end
        state.align = align
    elseif option ~= " " then
        return false
    end
    return true
end

-- Up to four bytes of `word`, the low one first.
local function word_bytes(word, count)
    local bytes = char(word % 0x100, floor(word / 0x100) % 0x100, floor(word / 0x10000) % 0x100,
        floor(word / 0x1000000))
    return count < 4 and sub(bytes, 1, count) or bytes
end

-- The high word and the low one of a double as the processor makes an unsigned long of it.
local function words(number)
    if number ~= number or number < -LONG then return 0x80000000, 0 end
    if number >= 2 * LONG then return 0, 0 end
    number = number < 0 and -floor(-number) or floor(number)
    return floor(number / WORD) % WORD, number % WORD
end

local function integer_bytes(number, size)
    local high, low = words(number)
    if size <= 4 then return word_bytes(low, size) end
    local bytes = word_bytes(low, 4) .. word_bytes(high, size - 4)
    return size > 8 and bytes .. rep("\0", size - 8) or bytes
end

-- The integer of which `bytes` are the bytes, the high one first. Of more than eight the low eight
-- count, and the sign is where eight bits a byte, modulo 64, have it.
local function integer_of(bytes, is_signed)
    local size = #bytes
    local high, low = 0, 0
    for index = size > 8 and size - 7 or 1, size do
        high = (high * 0x100 + floor(low / 0x1000000)) % WORD
        low = low % 0x1000000 * 0x100 + byte(bytes, index)
    end
    if is_signed then
        local sign = (size * 8 - 1) % 64
        if sign >= 32 then
            local limit = 2 ^ (sign - 32)
            if high >= limit then high = high % limit - limit end
        elseif high > 0 or low >= 2 ^ sign then
            return low % 2 ^ sign - 2 ^ sign
        end
    end
    return high * WORD + low
end

local function word_of(bytes, from)
    local a, b, c, d = byte(bytes, from, from + 3)
    return a * 0x1000000 + b * 0x10000 + c * 0x100 + d
end

local struct = {}

function struct.pack(...)
    local given = select("#", ...)
    local state = reader(check.string((...), 1, given))
    local values, out, n, position, total = { ... }, {}, 0, 2, 0
    given = given + 1  -- the C function's stack has a nil behind the arguments
    while true do
        local option, size, padding = option_next(state, total)
        if option == nil then break end
        if not option then error(size, 2) end
        if padding > 0 then
            n = n + 1
            out[n] = rep("\0", padding)
            total = total + padding
        end
        local bytes
        if INTEGERS[option] ~= nil then
            bytes = integer_bytes(check.number(values[position], position, given), size)
            position = position + 1
            if state.big then bytes = reverse(bytes) end
        elseif option == "x" then
            bytes = "\0"
        elseif option == "f" then
            bytes = word_bytes(floats.float_to_word(check.number(values[position], position, given)), 4)
            position = position + 1
            if state.big then bytes = reverse(bytes) end
        elseif option == "d" then
            local high, low = floats.double_to_words(check.number(values[position], position, given))
            bytes = word_bytes(low, 4) .. word_bytes(high, 4)
            position = position + 1
            if state.big then bytes = reverse(bytes) end
        elseif option == "c" or option == "s" then
            bytes = check.string(values[position], position, given)
            position = position + 1
            if size == 0 then size = #bytes end
            if #bytes < size then check.refuse(position, "string too short") end
            if size < #bytes then bytes = sub(bytes, 1, size) end
            if option == "s" then
                bytes = bytes .. "\0"
                size = size + 1
            end
        else
            local done = control(state, option)
            if not done then check.refuse(1, "invalid format option '" .. option .. "'") end
            if done ~= true then error(done, 2) end
        end
        if bytes then
            n = n + 1
            out[n] = bytes
        end
        total = total + size
    end
    return (concat(out))
end

function struct.unpack(...)
    local given = select("#", ...)
    local text, data, position = ...
    local state = reader(check.string(text, 1, given))
    data = check.string(data, 2, given)
    if position == nil then position = 1 else position = check.integer(position, 3, given) end
    if position == 0 then check.refuse(3, "offset must be 1 or greater") end
    position = position - 1
    local results, n = {}, 0
    while true do
        local option, size, padding = option_next(state, position)
        if option == nil then break end
        if not option then error(size, 2) end
        position = position + padding
        if position < 0 or position + size > #data then check.refuse(2, "data string too short") end
        if n + 3 > STACK then error("stack overflow (too many results)", 2) end
        local bytes = sub(data, position + 1, position + size)
        if not state.big and option ~= "c" then bytes = reverse(bytes) end
        if INTEGERS[option] ~= nil then
            n = n + 1
            results[n] = integer_of(bytes, INTEGERS[option])
        elseif option == "f" then
            n = n + 1
            results[n] = floats.word_to_float(word_of(bytes, 1))
        elseif option == "d" then
            n = n + 1
            results[n] = floats.words_to_double(word_of(bytes, 1), word_of(bytes, 5))
        elseif option == "c" then
            if size == 0 then
                size = n > 0 and tonumber(results[n])
                if not size then error("format 'c0' needs a previous size", 2) end
                size = size < 0 and LONG or floor(size)
                if size ~= size or position + size > #data then check.refuse(2, "data string too short") end
                bytes = sub(data, position + 1, position + size)
                n = n - 1
            end
            n = n + 1
            results[n] = bytes
        elseif option == "s" then
            local zero = find(data, "\0", position + 1, true)
            if not zero then error("unfinished string in data", 2) end
            n = n + 1
            results[n] = sub(data, position + 1, zero - 1)
            size = zero - position
        elseif option ~= "x" then
            local done = control(state, option)
            if not done then check.refuse(1, "invalid format option '" .. option .. "'") end
            if done ~= true then error(done, 2) end
        end
        position = position + size
    end
    results[n + 1] = position + 1
    return unpack(results, 1, n + 1)
end

function struct.size(...)
    local state = reader(check.string((...), 1, select("#", ...)))
    local total = 0
    while true do
        local option, size, padding = option_next(state, total)
        if option == nil then break end
        if not option then error(size, 2) end
        total = total + padding + size
        if option == "s" then check.refuse(1, "option 's' has no fixed size") end
        if option == "c" and size == 0 then check.refuse(1, "option 'c0' has no fixed size") end
        if not find(option, "^%w$") then
            local done = control(state, option)
            if not done then check.refuse(1, "invalid format option '" .. option .. "'") end
            if done ~= true then error(done, 2) end
        end
    end
    return total
end

return struct
