-- The library `bit`: operations on the low 32 bits of numbers, results signed. Lua 5.1 has no such
-- operators: and, or and exclusive or come from a table of six bits by six, made at the first use.
local check = ...
local floor, frexp, select = math.floor, math.frexp, select
local format, sub = string.format, string.sub

local MAGIC = 6755399441055744  -- 2^52 + 2^51: adding it rounds to an integer, half to even
local WORD = 0x100000000

-- The low 32 bits as BitOp takes them: those of the mantissa of `number` + MAGIC.
local function low_bits(number)
    if number >= -0x8000000000000 and number <= 0x8000000000000 then
        return (number + MAGIC - MAGIC) % WORD
    end
    local sum = number + MAGIC
    if sum - sum ~= 0 then return 0 end  -- infinite, or not a number
    return frexp(sum < 0 and -sum or sum) * 0x20000000000000 % WORD
end

local function signed(bits)
    return bits >= 0x80000000 and bits - WORD or bits
end

local conjunctions

local function conjunction(a, b)
    local ands = conjunctions
    if not ands then
        ands = { [0] = 0 }
        for row = 0, 63 do
            for column = 0, 63 do
                local both, weight, x, y = 0, 1, row, column
                while x > 0 do
                    if x % 2 == 1 and y % 2 == 1 then both = both + weight end
                    x, y, weight = floor(x / 2), floor(y / 2), weight * 2
                end
                ands[row * 64 + column] = both
            end
        end
        conjunctions = ands
    end
    local result, weight = 0, 1
    while a > 0 and b > 0 do
        local low_a, low_b = a % 64, b % 64
        result = result + ands[low_a * 64 + low_b] * weight
        a, b, weight = (a - low_a) / 64, (b - low_b) / 64, weight * 64
    end
    return result
end

local bit = {}

function bit.tobit(...)
    return signed(low_bits(check.number((...), 1, select("#", ...))))
end

function bit.bnot(...)
    return signed(WORD - 1 - low_bits(check.number((...), 1, select("#", ...))))
end

function bit.band(...)
    local given = select("#", ...)
    local result = low_bits(check.number((...), 1, given))
    for position = given, 2, -1 do
        local value = select(position, ...)
        result = conjunction(result, low_bits(check.number(value, position, given)))
    end
    return signed(result)
end

function bit.bor(...)
    local given = select("#", ...)
    local result = low_bits(check.number((...), 1, given))
    for position = given, 2, -1 do
        local value = select(position, ...)
        local bits = low_bits(check.number(value, position, given))
        result = result + bits - conjunction(result, bits)
    end
    return signed(result)
end

function bit.bxor(...)
    local given = select("#", ...)
    local result = low_bits(check.number((...), 1, given))
    for position = given, 2, -1 do
        local value = select(position, ...)
        local bits = low_bits(check.number(value, position, given))
        result = result + bits - 2 * conjunction(result, bits)
    end
    return signed(result)
end

function bit.lshift(...)
    local given = select("#", ...)
    local value, by = ...
    local bits = low_bits(check.number(value, 1, given))
    by = low_bits(check.number(by, 2, given)) % 32
    return signed(bits * 2 ^ by % WORD)
end

function bit.rshift(...)
    local given = select("#", ...)
    local value, by = ...
    local bits = low_bits(check.number(value, 1, given))
    by = low_bits(check.number(by, 2, given)) % 32
    return signed(floor(bits / 2 ^ by))
end

function bit.arshift(...)
    local given = select("#", ...)
    local value, by = ...
    local bits = low_bits(check.number(value, 1, given))
    by = low_bits(check.number(by, 2, given)) % 32
    return floor(signed(bits) / 2 ^ by)
end

function bit.rol(...)
    local given = select("#", ...)
    local value, by = ...
    local bits = low_bits(check.number(value, 1, given))
    by = 2 ^ (low_bits(check.number(by, 2, given)) % 32)
    return signed(bits * by % WORD + floor(bits * by / WORD))
end

function bit.ror(...)
    local given = select("#", ...)
    local value, by = ...
    local bits = low_bits(check.number(value, 1, given))
    by = 2 ^ (32 - low_bits(check.number(by, 2, given)) % 32)
    return signed(bits * by % WORD + floor(bits * by / WORD))
end

function bit.bswap(...)
    local bits = low_bits(check.number((...), 1, select("#", ...)))
    local a, b, c = bits % 0x100, floor(bits / 0x100) % 0x100, floor(bits / 0x10000) % 0x100
    return signed(a * 0x1000000 + b * 0x10000 + c * 0x100 + floor(bits / 0x1000000))
end

function bit.tohex(...)
    local given = select("#", ...)
    local value, digits = ...
    local bits = low_bits(check.number(value, 1, given))
    local count = given < 2 and 8 or signed(low_bits(check.number(digits, 2, given)))
    local pattern = count < 0 and "%08X" or "%08x"
    if count < 0 then count = -count end
    if count > 8 then count = 8 end
    return sub(format(pattern, bits), 9 - count)
end

return bit
