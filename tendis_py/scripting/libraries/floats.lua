-- Doubles and floats of IEEE 754 as words of 32 bits, and back, by arithmetic. A NaN keeps its sign
-- and not its payload.
local floor, format, frexp, huge, ldexp = math.floor, string.format, math.frexp, math.huge, math.ldexp
local NAN, MINUS_NAN = tonumber("nan"), tonumber("-nan")

local floats = {}

local function negative(number)
    if number ~= number then return format("%g", number) == "-nan" end
    return number < 0 or (number == 0 and 1 / number < 0)
end

-- The high word and the low one.
function floats.double_to_words(number)
    local sign = 0
    if negative(number) then sign, number = 0x80000000, -number end
    if number ~= number then return sign + 0x7ff80000, 0 end
    if number == huge then return sign + 0x7ff00000, 0 end
    if number == 0 then return sign, 0 end
    local mantissa, exponent = frexp(number)
    exponent = exponent + 1022
    if exponent <= 0 then  -- a subnormal one
        mantissa, exponent = ldexp(number, 1074), 0
    else
        mantissa = (mantissa * 2 - 1) * 0x10000000000000
    end
    return sign + exponent * 0x100000 + floor(mantissa / 0x100000000), mantissa % 0x100000000
end

function floats.words_to_double(high, low)
    local minus = high >= 0x80000000
    if minus then high = high - 0x80000000 end
    local exponent = floor(high / 0x100000)
    local mantissa = (high % 0x100000) * 0x100000000 + low
    local number
    if exponent == 0x7ff then
        if mantissa ~= 0 then return minus and MINUS_NAN or NAN end
        number = huge
    elseif exponent == 0 then
        number = ldexp(mantissa, -1074)
    else
        number = ldexp(0x10000000000000 + mantissa, exponent - 1075)
    end
    return minus and -number or number
end

-- Rounded to the nearest float, half to even.
function floats.float_to_word(number)
    local sign = 0
    if negative(number) then sign, number = 0x80000000, -number end
    if number ~= number then return sign + 0x7fc00000 end
    if number == huge then return sign + 0x7f800000 end
    if number == 0 then return sign end
    local mantissa, exponent = frexp(number)
    exponent = exponent + 125
    if exponent < 0 then  -- a subnormal one
        mantissa, exponent = ldexp(number, 149), 0
    else
        mantissa = mantissa * 0x1000000
    end
    -- Adding and taking 2^52 away rounds; what is carried goes into the exponent.
    local word = exponent * 0x800000 + (mantissa + 0x10000000000000 - 0x10000000000000)
    return sign + (word < 0x7f800000 and word or 0x7f800000)
end

function floats.word_to_float(word)
    local minus = word >= 0x80000000
    if minus then word = word - 0x80000000 end
    local exponent = floor(word / 0x800000)
    local mantissa = word % 0x800000
    local number
    if exponent == 0xff then
        if mantissa ~= 0 then return minus and MINUS_NAN or NAN end
        number = huge
    elseif exponent == 0 then
        number = ldexp(mantissa, -149)
    else
        number = ldexp(0x800000 + mantissa, exponent - 150)
    end
    return minus and -number or number
end

return floats
