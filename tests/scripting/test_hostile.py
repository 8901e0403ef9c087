"""Scripts that nobody means well with: the server answers each, in bounded memory, and goes on."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.test_mixed_load import check_offline
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, running, tendis_process

VALUES = """nil|true|1|-1|0|2^53|1/0|0/0|''|'\\0'|'%s%d%q%n'|'a'|KEYS|ARGV|KEYS[1]|ARGV[2]|{}
{1,nil,3}|{ok='x'}|{err='x'}|{err={}}|{ok=1}|{double=0/0}|{map={{},{}}}|{set={[{}]=1}}|{big_number='1\\r\\n'}
{verbatim_string={format='tx',string={}}}|('x'):rep(100000)|string.rep('ab', 2^26)|cyclic|deep(9)
deep(20000)|wide(10)|wide(200000)|print|redis|redis.call|_G|_G._G|error|coroutine|getmetatable('')
cjson.null|function() end|newproxy and newproxy()|('(('):rep(30000)|{[1e300]=1}|{[-1]=2,x={}}"""
FUNCTIONS = """redis.call|redis.pcall|redis.log|redis.sha1hex|redis.error_reply|redis.status_reply
redis.setresp|redis.acl_check_cmd|redis.set_repl|redis.breakpoint|redis.register_function
cjson.encode|cjson.decode|cjson.encode_max_depth|cjson.decode_max_depth|cjson.encode_sparse_array
cmsgpack.pack|cmsgpack.unpack|cmsgpack.unpack_limit|cmsgpack.unpack_one|struct.pack|struct.unpack
struct.size|bit.bor|bit.tohex|bit.lshift|bit.bswap|string.rep|string.format|string.find|string.gsub
string.match|string.gmatch|string.byte|string.char|string.dump|string.sub|table.concat|table.insert
table.remove|table.sort|table.getn|table.foreach|unpack|select|next|pairs|ipairs|rawset|rawget
rawequal|setmetatable|getmetatable|setfenv|getfenv|loadstring|load|tonumber|tostring|type|error
pcall|xpcall|assert|collectgarbage|math.random|math.randomseed|math.floor|math.fmod|os.clock|os.time
coroutine.create|coroutine.wrap|coroutine.yield|require|dofile|cjson.new|gcinfo|module|io.open"""
COMMANDS = """'GET',KEYS[1]|'SET',KEYS[1],v|'LRANGE','list',0,-1|'RPUSH',KEYS[1],unpack(wide(5000))
'KEYS'|'APPEND',KEYS[1],v|'SETRANGE',KEYS[1],2^29,v|'EVAL','return 1',0|'MULTI'|'DEBUG','SLEEP',9
'BLPOP','x',0|'SUBSCRIBE','x'|'CLIENT','LIST'|'SHUTDOWN'|'CONFIG','SET','dir','/'|'SCRIPT','KILL'|'COMMAND','DOCS'
'SELECT',3|'SORT','list','BY','nosort'|'RESTORE',KEYS[1],0,v|'FLUSHALL'|'XADD',KEYS[1],'*','f',v|'INFO'
'BITFIELD',KEYS[1],'SET','u8',9e9,1|'LPOS','list',v|'HSET',KEYS[1],v,v|'ZADD',KEYS[1],v,v|'DUMP','list'"""
BLOCKS = """pcall(function() {} end)|local f = function(...) {} return ... end f({v})
for i = 1, {n} do {} end|while true do {} end|repeat pcall(function() {} end) until false
local co = coroutine.wrap(function() {} end) co() co()|for k, x in pairs({v}) do {} end
local t = setmetatable({{}}, {{__index = function() {} end, __tostring = function() {} end}}) v=t.x
xpcall(function() {} end, function(e) {} end)|local function r(...) {} return r(1, ...) end r()
local function r() return 1 + r() end r()|v = loadstring([[{}]]) v = v and v()
if v then {} else {} end"""
LONG = (b"while true", b"until false", b"r(1", b"1e5")
"""What a script has that may go on for long: it is not to write, for then nothing kills it."""
PREFACE = """local v, cyclic = 1, {} cyclic.x = cyclic cyclic[1] = cyclic
local function deep(n) local t = {} for i = 1, n do t = {t} end return t end
local function wide(n) local t = {} for i = 1, n do t[i] = i end return t end """


def lines(text: str) -> list[str]:
    return text.replace("\n", "|").split("|")


values, functions, commands, blocks = map(lines, (VALUES, FUNCTIONS, COMMANDS, BLOCKS))


def value(draw: random.Random, depth: int = 0) -> str:
    if depth > 2 or draw.random() < 0.5:
        return draw.choice([*values, "v"])
    return call(draw, depth + 1)


def call(draw: random.Random, depth: int = 0) -> str:
    if draw.random() < 0.3:
        return f"redis.{draw.choice(['call', 'pcall'])}({draw.choice(commands)})"
    given = ",".join(value(draw, depth) for _ in range(draw.randrange(4)))
    return f"{draw.choice(functions)}({given})"


def statements(draw: random.Random, depth: int = 0) -> str:
    made = []
    for _ in range(draw.randint(1, 3)):
        if depth < 3 and draw.random() < 0.4:
            block = draw.choice(blocks)
            for _ in range(block.count("{}")):
                block = block.replace("{}", statements(draw, depth + 1), 1)
            block = block.replace("{v}", value(draw)).replace("{n}", draw.choice(["3", "1e5"]))
            made.append(block.replace("{{}}", "{}").replace("{{", "{").replace("}}", "}"))
        else:
            made.append(f"v = {value(draw)}")
    return " ".join(made)


def script(draw: random.Random) -> bytes:
    made = (PREFACE + statements(draw) + f" return {value(draw)}").encode()
    if draw.random() < 0.2:
        at = draw.randrange(len(made))
        made = made[:at] + draw.randbytes(draw.randrange(3)) + made[at + draw.randrange(4) :]
    return made


def attack(server: ServerProcess, seed: int) -> Iterator[None]:
    """One script after the other, of which none can write and go on for long."""
    draw = random.Random(seed)
    with server.client(seconds=20) as client, server.client() as other:
        client.command("RPUSH", "list", *map(str, range(1000)))
        while True:
            made = script(draw)
            is_long = any(word in made for word in LONG)
            name = "EVAL_RO" if is_long else "EVAL"
            client.request(name, made, str(draw.randrange(2)), "key", b"\xff\0", "a")
            reply = answer(client, other)
            assert b"internal" not in reply[:200], (made, reply[:200])
            assert other.command("PING").startswith(b"+PONG"), made
            if draw.random() < 0.05:
                client.command("FLUSHALL")
                client.command("RPUSH", "list", *map(str, range(1000)))
            yield


def answer(client: RawClient, other: RawClient) -> bytes:
    """The reply, of a script that is killed if it takes long."""
    client.socket.settimeout(0.3)
    for _ in range(60):
        with contextlib.suppress(TimeoutError):
            return bytes(client.reply())
        other.command("SCRIPT", "KILL")
    raise AssertionError("it goes on")


def run(folder: Path, seed: int, until: float, at_most: int) -> None:
    server = tendis_process(
        folder, "--lua-memory-limit", "32mb", "--busy-reply-threshold", "100", "--loglevel", "debug"
    )
    with running(server):
        for count, _ in enumerate(attack(server, seed), 1):
            if count == at_most or time.monotonic() > until:
                break
        assert server.peak_bytes() < 700 << 20
        assert "Traceback" not in server.log
    check_offline(folder)


def test_some(tmp_path: Path) -> None:
    run(tmp_path, 1, time.monotonic() + 60, 10)


@pytest.mark.soak
def test_ten_minutes_of_it(tmp_path: Path) -> None:
    seed = int(time.time())
    print(f"seed {seed}")
    run(tmp_path, seed, time.monotonic() + 600, 1_000_000)
