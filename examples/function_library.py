"""A library of functions: stock that can't be sold twice, decided in the server, next to the data.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import redis

from support import running_server

LIBRARY = """#!lua name=shop

-- keys: the stock, the basket; arguments: article, number
local function reserve(keys, args)
    local article, number = args[1], tonumber(args[2])
    local left = tonumber(redis.call('HGET', keys[1], article) or 0)
    if number > left then
        return redis.error_reply('SOLDOUT only ' .. left .. ' left')
    end
    redis.call('HINCRBY', keys[1], article, -number)
    redis.call('HINCRBY', keys[2], article, number)
    return left - number
end

local function left(keys, args)
    return tonumber(redis.call('HGET', keys[1], args[1]) or 0)
end

redis.register_function('reserve', reserve)
redis.register_function{
    function_name = 'left', callback = left, flags = {'no-writes'},
    description = 'How many of an article are in stock',
}
"""


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        print("loaded:", client.function_load(LIBRARY))
        client.hset("stock", "lamp", 3)

        # One request each, and nobody comes in between: no WATCH, no second attempt.
        for name in ("alice", "bob"):
            try:
                rest = client.fcall("reserve", 2, "stock", f"basket:{name}", "lamp", 2)
                print(f"{name} has two lamps, {rest} left")
            except redis.ResponseError as error:
                print(f"{name} has none: {error}")
        assert client.hgetall("basket:alice") == {"lamp": "2"}
        assert not client.exists("basket:bob")

        # What only reads says so, and may be called where writing is not allowed.
        assert client.fcall_ro("left", 1, "stock", "lamp") == 1

        # Libraries are part of the data: FLUSHALL leaves them, a dump takes them elsewhere.
        dump = client.function_dump()
        client.function_flush()
        client.function_restore(dump)
        print("restored:", client.fcall_ro("left", 1, "stock", "lamp"), "left")


if __name__ == "__main__":
    main()
