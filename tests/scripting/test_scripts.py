"""Scripts beyond what the transcripts say: what passes either way, what can't be reached, what they
may take, and how others see what they do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, running, tendis_process

Both = Callable[..., tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def both(tendis_default: ServerProcess, redis_server: ServerProcess) -> Iterator[Both]:
    """Asks our server and the real one."""
    with tendis_default.client() as ours, redis_server.client() as theirs:

        def ask(*words: str | bytes) -> tuple[bytes, bytes]:
            return bytes(ours.command(*words)), bytes(theirs.command(*words))

        yield ask


@pytest.fixture
def client(tendis: ServerProcess) -> Iterator[RawClient]:
    with tendis.client() as one:
        one.command("FLUSHALL")
        yield one


@pytest.fixture
def alone(tendis_default: ServerProcess) -> Iterator[RawClient]:
    """As ``client``, of the default model only."""
    with tendis_default.client() as one:
        yield one


# What passes either way


def quoted(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'


texts = st.binary(max_size=8).map(quoted)
numbers = st.one_of(
    st.integers(-(2**63), 2**63).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1/0", "-1/0", "2^53+1", "-0.0"]),
)


def tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    many = st.lists(values, max_size=4)
    names = st.sampled_from(["ok", "err", "double", "map", "set", "big_number", "x"])
    return st.one_of(
        many.map(lambda items: "{" + ",".join(items) + "}"),
        st.tuples(names, values).map(lambda pair: f"{{{pair[0]}={pair[1]}}}"),
        values.map(lambda value: f"{{map={{a={value}}}}}"),
        values.map(lambda value: f"{{set={{a={value}}}}}"),
        texts.map(lambda text: f'{{verbatim_string={{format="txt",string={text}}}}}'),
    )


values = st.recursive(
    st.one_of(texts, numbers, st.sampled_from(["true", "false", "nil", "function() end"])),
    tables,
    max_leaves=8,
)


@settings(max_examples=60)
@given(value=values, script_speaks=st.sampled_from("23"), client_speaks=st.sampled_from("23"))
def test_what_a_script_answers(
    both: Both, value: str, script_speaks: str, client_speaks: str
) -> None:
    both("HELLO", client_speaks)
    script = f"redis.setresp({script_speaks}) return {value}"
    ours, theirs = both("EVAL", script, "0")
    assert ours == theirs


SHOW = """
local function show(v)
  if type(v) ~= 'table' then return type(v) .. ':' .. tostring(v) end
  local names = {}
  for k in pairs(v) do names[#names + 1] = k end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for at, k in ipairs(names) do names[at] = tostring(k) .. '=' .. show(v[k]) end
  return '{' .. table.concat(names, ',') .. '}'
end
redis.setresp(tonumber(ARGV[1]))
local asked = {select(2, unpack(ARGV))}
return show(redis.pcall(unpack(asked)))
"""
DATA = """DEL s l h z set st|SET s v|RPUSH l a b|HSET h f 1 g 2|ZADD z 1.5 a 2 b|SADD set 1 2
XADD st 1-1 f v|GET s|GET none|LRANGE l 0 -1|LRANGE none 0 -1|HGETALL h|ZRANGE z 0 -1 WITHSCORES
ZSCORE z a|ZSCORE z none|SMEMBERS set|XRANGE st - +|XREAD STREAMS st 0|XREAD STREAMS none 0|TYPE l
MGET s none l|INCR s|LPUSH s 1|NOTHING|GET|EXISTS s|PING|ECHO x|TIME x|OBJECT ENCODING l
ZRANDMEMBER z 0 WITHSCORES|LMPOP 1 none LEFT|HRANDFIELD h 0 WITHVALUES|ZMSCORE z a none
SISMEMBER set 1|SMISMEMBER set 1 3|GEOPOS none a|GEODIST none a b|OBJECT FREQ x|CONFIG GET x
ZADD z INCR 1 a|HINCRBYFLOAT h f 1.5|SETBIT b 1 1|BITFIELD b GET u8 0|SET s w GET|EXPIRE s 100
BLPOP none 0|COMMAND GETKEYS GET a|LCS a b IDX|SORT l ALPHA|LPOS l a|LPOS l x
COPY s t|ZINCRBY z 1 b|ZPOPMIN none|ZPOPMIN z|SPOP none|SCAN 0 COUNT 100 MATCH none"""


@pytest.mark.parametrize("protocol", "23")
def test_what_a_command_answers_to_a_script(both: Both, protocol: str) -> None:
    both("FLUSHALL")
    for line in DATA.replace("\n", "|").split("|"):
        ours, theirs = both("EVAL", SHOW, "0", protocol, *line.split())
        assert ours == theirs, line


def test_a_long_array_comes_whole(alone: RawClient) -> None:
    """Made in parts, in either direction."""
    script = """
    local numbers = {}
    for number = 1, 10000 do numbers[number] = number end
    for at = 1, 10000, 5000 do redis.call('RPUSH', KEYS[1], unpack(numbers, at, at + 4999)) end
    local whole = redis.call('LRANGE', KEYS[1], 0, -1)
    for number = 1, 10000 do assert(whole[number] == tostring(number)) end
    redis.call('DEL', KEYS[1])
    return {#whole, whole}
    """
    size, whole = alone.value("EVAL", script, "1", "long")
    assert size == 10000
    assert whole == [b"%d" % number for number in range(1, 10001)]


def test_many_keys_and_arguments(alone: RawClient) -> None:
    words = [str(number) for number in range(1000)]
    script = "return {#KEYS, #ARGV, KEYS[300], ARGV[1], ARGV[700]}"
    assert alone.value("EVAL", script, "300", *words) == [300, 700, b"299", b"300", b"999"]


# What can't be reached

CRAWL = """
local seen, odd, writable = {}, {}, {}
local function crawl(value, path)
  if type(value) == 'userdata' and value ~= cjson.null then odd[#odd + 1] = path end
  if type(value) ~= 'table' or seen[value] or value == seen then return end
  seen[value] = true
  local before = rawget(value, 'x')
  local tries = {
    function() value.x = 1 end,
    function() value[1] = 1 end,
    function() rawset(value, 'x', 1) end,
    function() table.insert(value, 1) end,
    function() setmetatable(value, {}) end,
  }
  for _, try in ipairs(tries) do
    if pcall(try) then writable[#writable + 1] = path break end
  end
  for k, v in pairs(value) do
    crawl(k, path)
    crawl(v, path .. '.' .. tostring(k))
  end
  crawl(getmetatable(value), path .. '~')
end
for _, value in ipairs({_G, '', 1, true, print_, crawl, coroutine.create(crawl)}) do
  crawl(getmetatable(value), '~' .. type(value))
end
table.sort(writable)
return {odd, writable}
""".replace("print_, ", "")


def test_nothing_can_be_changed_for_others_and_nothing_of_python_is_there(
    client: RawClient,
) -> None:
    script = CRAWL.replace("for _, value in", "crawl(_G, '_G')\nfor _, value in", 1)
    odd, writable = client.value("EVAL", script, "0")
    assert odd == []
    assert writable == [b"_G.ARGV", b"_G.KEYS"]
    assert client.value("EVAL", "return ('x'):rep(2) .. tostring(rawget(_G, 'x'))", "0") == b"xxnil"


def test_no_error_is_anything_but_a_text_or_a_table(alone: RawClient) -> None:
    script = """
    local f = loadstring('return ' .. ARGV[1])()
    local thread = coroutine.create(function() end)
    local values = {1, 'x', true, {}, redis, redis.call, thread, cjson.null}
    local kinds = {}
    local function note(...)
      local ok, failure = pcall(f, ...)
      if not ok then kinds[type(failure)] = true end
    end
    for _, value in ipairs(values) do
      note(value)
      for _, other in ipairs(values) do note(value, other) end
    end
    local found = {}
    for kind in pairs(kinds) do found[#found + 1] = kind end
    return found
    """
    names = alone.value("EVAL", FUNCTIONS, "0")
    assert len(names) > 60
    for name in names:
        if name != b"error":  # which raises what it is given
            found = alone.value("EVAL", script, "0", name)
            assert set(found) <= {b"string", b"table", b"nil"}, name


FUNCTIONS = """
local names = {}
for name, value in pairs(_G) do
  if type(value) == 'function' then names[#names + 1] = name end
  if type(value) == 'table' and value ~= _G then
    for inner, f in pairs(value) do
      if type(f) == 'function' then names[#names + 1] = name .. '.' .. inner end
    end
  end
end
return names
"""


@pytest.mark.parametrize(
    "attempt",
    [
        "return loadstring(string.dump(function() return 1 end))",
        "return load(function() return string.dump(type) end)",
        r"return loadstring('\27LuaQ\0\1\4\8\4\8\0')",
    ],
)
def test_no_bytecode_is_loaded(alone: RawClient, attempt: str) -> None:
    assert alone.value("EVAL", attempt, "0") is None


# What they may take


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose scripts get 8 MB."""
    folder = tmp_path_factory.mktemp("small")
    with running(tendis_process(folder, "--lua-memory-limit", "8mb")) as server:
        yield server


@pytest.mark.parametrize(
    "script",
    [
        "return string.rep('x', 1e8)",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do pcall(function() s = s .. s end) end",
        "local s = string.rep('x', 3e6) return {s, s, s}",
        "for at = 1, 11 do redis.call('APPEND', KEYS[1], string.rep('x', 1e6)) end "
        "return redis.call('GET', KEYS[1])",
        "local t = {} for at = 1, 100 do "
        "redis.call('SETRANGE', KEYS[1], 1e6, at) t[at] = redis.call('GET', KEYS[1]) end",
        "return cjson.encode({string.rep('x', 4e6), string.rep('y', 4e6)})",
        "local function f() local ok = pcall(f) return string.rep('x', 1e9) end return f()",
        "return coroutine.wrap(function() return string.rep('x', 1e8) end)()",
        "return select(2, xpcall(function() return string.rep('x', 1e8) end, type))",
    ],
)
def test_one_that_takes_too_much_fails_alone(small: ServerProcess, script: str) -> None:
    with small.client() as client:
        assert b"not enough memory" in client.command("EVAL", script, "1", "big")
        assert client.value("EVAL", "return 7", "0") == 7
        client.command("DEL", "big")


def test_arguments_that_are_too_much(small: ServerProcess) -> None:
    with small.client() as client:
        text = b"x" * 9_000_000
        assert b"not enough memory" in client.command("EVAL", "return 1", "0", text)
        assert b"not enough memory" in client.command("EVAL", b"return 1 --" + text, "0")
        assert client.value("EVAL", "return #ARGV[1]", "0", text[:1_000_000]) == 1_000_000


def test_evals_are_forgotten_and_loaded_ones_are_not(small: ServerProcess) -> None:
    with small.client() as client:
        client.command("SCRIPT", "FLUSH")
        loaded = client.value("SCRIPT", "LOAD", "return 'loaded'")
        used = client.value("SCRIPT", "LOAD", "return 0")
        client.command("SCRIPT", "FLUSH")
        client.command("EVAL", "return 0", "0")
        loaded = client.value("SCRIPT", "LOAD", "return 'loaded'")
        for number in range(1, 500):
            client.request("EVAL", f"return {number}", "0")
            client.request("EVALSHA", used, "0")
        assert [client.reply() for _ in range(998)][-1] == b":0\r\n"
        assert figure(client, "number_of_cached_scripts") == 501
        assert figure(client, "evicted_scripts") == 0
        client.command("EVAL", "return 500", "0")
        assert client.value("SCRIPT", "EXISTS", loaded, used) == [1, 1]
        assert figure(client, "evicted_scripts") == 1
        assert figure(client, "used_memory_scripts_eval") > 500 * 8
        assert figure(client, "used_memory_vm_eval") > 10_000
        client.command("SCRIPT", "FLUSH")
        assert figure(client, "number_of_cached_scripts") == 0


def figure(client: RawClient, name: str) -> int:
    found = re.search(rf"{name}:(\d+)".encode(), client.value("INFO", "everything"))
    assert found is not None
    return int(found[1])


# How others see it


def test_it_is_counted_as_redis_counts(both: Both) -> None:
    both("HELLO", "2")
    both("DEL", "counted")
    both("CONFIG", "RESETSTAT")
    for script in (
        "return redis.call('INCR', 'counted')",
        "redis.pcall('LPUSH', 'counted', 1) redis.pcall('INCR') redis.pcall('NOPE') return 1",
        "redis.call('LPUSH', 'counted', 1)",
        "return redis.pcall('LPUSH', 'counted', 1)",
        "redis.call('INCR')",
        "return {err = 'MINE x'}",
        "error('x')",
        "error({err = 'OTHER x'})",
        "return redis.call('INCR', 'counted')",
        "x y",
    ):
        for command in ("EVAL", "EVAL_RO"):
            both(command, script, "0")
    for section in ("commandstats", "errorstats", "stats"):
        ours, theirs = (counted(reply) for reply in both("INFO", section))
        assert ours == theirs


def counted(info: bytes) -> list[bytes]:
    """The lines of INFO that have no time in them, without their times."""
    lines = re.findall(rb"^(?:cmdstat_|errorstat_|total_error|total_commands).*$", info, re.M)
    untimed = (re.sub(rb",wait_usec=.*|,usec=.*?(?=,rej)", b"", line.strip()) for line in lines)
    return sorted(line for line in untimed if not line.startswith(b"cmdstat_info"))


def test_who_monitors_sees_the_script_and_then_what_it_calls(
    tendis: ServerProcess, client: RawClient
) -> None:
    with tendis.client() as watching:
        watching.command("MONITOR")
        client.command("SELECT", "1")
        client.value("EVAL", "redis.call('SET', 'k', 'v') return redis.call('GET', 'k')", "0")
        client.command("SELECT", "0")
        lines = [watching.reply() for _ in range(5)]
    shown = [line.partition(b" [")[2].strip() for line in lines]
    assert shown[2] == b'1 lua] "SET" "k" "v"'
    assert shown[3] == b'1 lua] "GET" "k"'
    assert shown[1].startswith(b"1 127.0.0.1:")


def test_who_monitors_sees_what_never_runs(tendis: ServerProcess, client: RawClient) -> None:
    with tendis.client() as watching:
        watching.command("MONITOR")
        for request in (("EVAL", "=", "0"), ("EVALSHA", "nope", "0"), ("FCALL", "nope", "x")):
            assert client.command(*request).startswith(b"-")
            assert f'"{request[0]}" "{request[1]}"'.encode() in watching.reply()


def test_keys_that_it_reads_are_tracked_for_its_caller(client: RawClient) -> None:
    client.command("HELLO", "3")
    client.command("CLIENT", "TRACKING", "ON")
    client.value("EVAL", "return redis.call('GET', KEYS[1])", "1", "read")
    client.request("EVAL", "return redis.call('SET', KEYS[1], 1)", "1", "read")
    told = [client.reply(), client.reply()]
    assert sorted(told) == [b"+OK\r\n", b">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nread\r\n"]


def test_keys_that_it_declares_only_are_not_tracked(client: RawClient) -> None:
    client.command("HELLO", "3")
    client.command("CLIENT", "TRACKING", "ON")
    client.value("EVAL_RO", "return 1", "1", "declared")
    client.value("FCALL_RO", "nope", "1", "declared")
    assert client.command("SET", "declared", "1") == b"+OK\r\n"
    assert client.command("PING") == b"+PONG\r\n"


def test_a_container_s_commands_are_not_taken_for_each_other(client: RawClient) -> None:
    client.command("XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM")
    script = "return redis.call('XGROUP', ARGV[1], KEYS[1], 'group', 'consumer')"
    answers = [
        client.value("EVAL", script, "1", "stream", action)
        for action in ("CREATECONSUMER", "DELCONSUMER", "CREATECONSUMER", "CREATECONSUMER")
    ]
    assert answers == [1, 0, 1, 0]


@pytest.mark.parametrize("more", [("HELLO", "3"), ("PING",), ("ACL", "WHOAMI")])
def test_what_an_exec_does_before_a_script_that_wants_more_keys_is_done_once(
    both: Both, more: tuple[str, ...]
) -> None:
    both("CONFIG", "RESETSTAT")
    both("HSET", "hash", "f", "v")
    both("MULTI")
    for request in (("HGETALL", "hash"), more, ("EVALSHA", "0" * 40, "0")):
        both(*request)
    both("EVAL", "return redis.call('TTL', 'undeclared')", "0")
    ours, theirs = both("EXEC")
    if more[0] != "HELLO":
        assert ours == theirs
    assert ours.startswith(b"*4\r\n*2\r\n$1\r\nf\r\n")
    both("HELLO", "2")
    ours, theirs = both("INFO", "everything")
    assert counted(ours) == counted(theirs)
