-- Lua 5.1 forgets the line of a function that ends in a call, `return redis.call(...)`: a tail call
-- takes its place. In Redis what is called there is C, which takes no place, and errors have the line.
-- Here it is Lua; so tail calls of fields and globals, which are the functions that a script is given,
-- are made ordinary calls. Those of upvalues stay: they are a script's own functions, and may recurse.
--
-- The format is that of ldump.c, the operations are those of lopcodes.h.
local byte, char, concat, dump, floor, ipairs, loadstring, sub =
    string.byte, string.char, table.concat, string.dump, math.floor, ipairs, loadstring, string.sub

local HEADER = "\27Lua\81\0\1\4\8\4\8\0"  -- 64 bits, the low byte first
local CALL, TAIL_CALL, GET_UPVALUE = 28, 29, 4
-- Operations that put something into their first register.
local LOADS = {}
for operation = 0, 37 do LOADS[operation] = true end
for _, operation in ipairs({ 7, 8, 9, 22, 23, 24, 25, 26, 29, 30, 31, 32, 33, 34, 35 }) do
    LOADS[operation] = nil
end

local function integer(code, at)
    local a, b, c, d = byte(code, at, at + 3)
    return a + b * 0x100 + c * 0x10000 + d * 0x1000000
end

local function after_string(code, at)
    return at + 8 + integer(code, at)  -- the upper half of its length is 0
end

-- Whether the function that the instruction at `at` calls came from an upvalue.
local function is_own(code, first, at)
    local register = floor(integer(code, at) / 0x40) % 0x100
    for before = at - 4, first, -4 do
        local operation = byte(code, before) % 0x40
        if LOADS[operation] and floor(integer(code, before) / 0x40) % 0x100 == register then
            return operation == GET_UPVALUE
        end
    end
    return true
end

-- Appends where calls are to be made ordinary in the function at `at`; where what follows begins.
local function find_calls(code, at, found)
    at = after_string(code, at) + 12
    local first = at + 4
    at = first + 4 * integer(code, at)
    for instruction = first, at - 4, 4 do
        if byte(code, instruction) % 0x40 == TAIL_CALL and not is_own(code, first, instruction) then
            found[#found + 1] = instruction
        end
    end
    local constants = integer(code, at)
    at = at + 4
    for _ = 1, constants do
        local kind = byte(code, at)
        at = at + 1
        if kind == 1 then
            at = at + 1
        elseif kind == 3 then
            at = at + 8
        elseif kind == 4 then
            at = after_string(code, at)
        end
    end
    local functions = integer(code, at)
    at = at + 4
    for _ = 1, functions do at = find_calls(code, at, found) end
    at = at + 4 + 4 * integer(code, at)  -- lines
    local locals = integer(code, at)
    at = at + 4
    for _ = 1, locals do at = after_string(code, at) + 8 end
    local upvalues = integer(code, at)
    at = at + 4
    for _ = 1, upvalues do at = after_string(code, at) end
    return at
end

-- The function of a chunk, with ordinary calls.
return function(chunk)
    local code, found = dump(chunk), {}
    if sub(code, 1, #HEADER) ~= HEADER then return chunk end
    find_calls(code, #HEADER + 1, found)
    if #found == 0 then return chunk end
    local pieces, from = {}, 1
    for _, at in ipairs(found) do
        pieces[#pieces + 1] = sub(code, from, at - 1)
        pieces[#pieces + 1] = char(byte(code, at) - TAIL_CALL + CALL)
        from = at + 1
    end
    pieces[#pieces + 1] = sub(code, from)
    return loadstring(concat(pieces))
end
