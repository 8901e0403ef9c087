"""Functions beyond what the transcript says: payloads, what lasts, what is ended, who is first."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tendis_py.rdb.checksum import crc64
from tests.support.resp import Error, RawClient
from tests.support.servers import ServerProcess, running, tendis_process, wait_until


def code(library: str, *functions: str, result: object = 7) -> bytes:
    """A library of functions that all answer the same."""
    lines = [
        f"redis.register_function('{name}', function() return {result} end)" for name in functions
    ]
    return "\n".join([f"#!lua name={library}", *lines]).encode()


@pytest.fixture
def client(tendis: ServerProcess) -> Iterator[RawClient]:
    with tendis.client() as one:
        one.command("FUNCTION", "FLUSH")
        yield one
        one.command("FUNCTION", "FLUSH")


@pytest.fixture
def alone(tendis_default: ServerProcess) -> Iterator[RawClient]:
    """As ``client``, of the default model only."""
    with tendis_default.client(seconds=60) as one:
        one.command("FUNCTION", "FLUSH")
        yield one
        one.command("FUNCTION", "FLUSH")


def codes(client: RawClient) -> dict[bytes, bytes]:
    """The code of each library."""
    listed = client.value("FUNCTION", "LIST", "WITHCODE")
    return {entry[1]: entry[7] for entry in listed}


# Payloads


def string(text: bytes) -> bytes:
    size = len(text)
    if size < 64:
        return bytes([size]) + text
    return bytes([0x40 | size >> 8, size & 255]) + text


def payload(*parts: bytes, version: int = 12) -> bytes:
    body = b"".join(parts) + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def library(*args: Any) -> bytes:
    return b"\xf5" + string(code(*args))


PAYLOADS = [
    payload(),
    payload(version=13),
    payload(version=0),
    payload()[:-1],
    payload(library("a", "f"), version=1),
    payload(library("a", "f"), version=100),
    payload(library("a", "f"), library("b", "g")),
    payload(library("a", "f"), library("b", "F")),
    payload(library("a", "f"), library("a", "g")),
    payload(library("a", "f"), b"\xf5", string(b"nonsense")),
    payload(library("a", "f"), b"\xf5", string(b"#!lua name=b\n")),
    payload(library("a", "f"), b"\xf5", string(b"#!lua name=b\nfoo bar")),
    payload(library("a", "f"), b"\xf5", string(b"#!lua name=b\nfoo.bar()")),
    payload(library("a", "f"), b"\xf6", string(code("b", "g"))),
    payload(library("a", "f"), b"\xff"),
    payload(library("a", "f"), b"\x00", string(b"x")),
    payload(library("a", "f")[:-3]),
    payload(b"\xf5\x81", struct.pack(">Q", 1 << 40), b"x"),
    payload(b"\xf5\x80", struct.pack(">I", 1 << 31), b"x"),
    payload(b"\xf5\xc0\x05"),
    payload(b"\xf5\xc3\x05\x40\x80abcde"),
    payload(b"\xf5\xc4"),
    payload(b"\xf5"),
    payload(b"\xf6"),
    payload(library("b", "taken")),
    payload(library("taken", "f")),
]
"""What RESTORE says of these, where a library ``taken`` has a function of that name."""


def test_payloads_are_taken_and_refused_as_redis_does(
    client: RawClient, redis_client: RawClient
) -> None:
    for given in PAYLOADS:
        for policy in ("APPEND", "REPLACE", "FLUSH"):
            answers = []
            for one in (client, redis_client):
                one.command("FUNCTION", "FLUSH")
                one.command("FUNCTION", "LOAD", code("taken", "taken"))
                reply = one.command("FUNCTION", "RESTORE", given, policy)
                answers.append((reply, codes(one)))
            assert answers[0] == answers[1], (given, policy)
    redis_client.command("FUNCTION", "FLUSH")


def test_dumps_are_taken_both_ways(alone: RawClient, redis_client: RawClient) -> None:
    """Long code is compressed by Redis."""
    long = code("long", "f") + b"\n-- " + b"compressible " * 2000
    short = code("short", "g")
    for one, other in ((alone, redis_client), (redis_client, alone)):
        for each in (one, other):
            each.command("FUNCTION", "FLUSH")
        for library in (long, short):
            one.command("FUNCTION", "LOAD", library)
        assert other.command("FUNCTION", "RESTORE", one.value("FUNCTION", "DUMP")) == b"+OK\r\n"
        assert codes(other) == {b"long": long, b"short": short}
        assert other.value("FCALL", "g", "0") == 7
    redis_client.command("FUNCTION", "FLUSH")


# What lasts


def test_libraries_outlive_the_server(tmp_path: Path) -> None:
    with running(tendis_process(tmp_path)) as server:
        with server.client() as client:
            client.command("FUNCTION", "LOAD", code("gone", "gone"))
            client.command("FUNCTION", "LOAD", code("a", "f", result=1))
            client.command("FUNCTION", "LOAD", "REPLACE", code("a", "f", "g", result=2))
            assert client.command("FUNCTION", "DELETE", "gone") == b"+OK\r\n"
            client.command("MULTI")
            client.command("FUNCTION", "LOAD", code("b", "h", result=3))
            client.command("SET", "k", "v")
            client.command("EXEC")
        server.kill()
        server.start()
        with server.client() as client:
            assert codes(client) == {
                b"a": code("a", "f", "g", result=2),
                b"b": code("b", "h", result=3),
            }
            assert [client.value("FCALL", name, "0") for name in ("f", "g", "h")] == [2, 2, 3]
            assert client.value("GET", "k") == b"v"
            client.command("FUNCTION", "FLUSH")
        server.stop()
        server.start()
        with server.client() as client:
            assert codes(client) == {}
            info = client.value("INFO", "memory").decode()
            assert "number_of_functions:0\r\nnumber_of_libraries:0\r\n" in info


def test_a_new_version_is_everybodys(client: RawClient, tendis: ServerProcess) -> None:
    """Each executing thread has its own copy."""
    others = [tendis.client() for _ in range(8)]
    for version in range(3):
        client.command("FUNCTION", "LOAD", "REPLACE", code("a", "f", result=version))
        for other in others:
            assert other.value("FCALL", "f", "0") == version
    client.command("FUNCTION", "DELETE", "a")
    for other in others:
        assert other.value("FCALL", "f", "0") == Error("ERR Function not found")
        other.close()


def test_two_at_once(client: RawClient, tendis: ServerProcess) -> None:
    """Only one of two libraries with a function of the same name is there in the end."""
    replies: list[bytes] = []

    def load(library: str) -> None:
        with tendis.client() as other:
            replies.append(other.command("FUNCTION", "LOAD", code(library, "same")))

    threads = [threading.Thread(target=load, args=(f"l{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert replies.count(b"-ERR Function same already exists\r\n") == 3
    assert len(codes(client)) == 1


def test_it_is_taken_back_with_its_unit(client: RawClient) -> None:
    client.command("FUNCTION", "LOAD", code("a", "f"))
    client.command("MULTI")
    client.command("FUNCTION", "FLUSH")
    client.command("DISCARD")
    assert client.value("FCALL", "f", "0") == 7
    before = _dirty(client)
    client.command("FUNCTION", "DELETE", "none")
    client.command("FUNCTION", "LOAD", code("b", "f"))
    assert _dirty(client) == before
    client.command("FUNCTION", "LOAD", code("b", "g"))
    assert _dirty(client) == before + 1


def _dirty(client: RawClient) -> int:
    info = client.value("INFO", "persistence").decode()
    return int(info.partition("rdb_changes_since_last_save:")[2].split()[0])


# What takes long


ENDLESS = (
    "while true do end",
    "local s = ('x'):rep(1000) while true do s:gsub('x', 'y') end",
)


@pytest.mark.parametrize("body", ENDLESS)
def test_loading_takes_half_a_second_at_the_most(alone: RawClient, body: str) -> None:
    reply = alone.command("FUNCTION", "LOAD", f"#!lua name=a\n{body}")
    assert reply == b"-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n"
    assert codes(alone) == {}


LOOPS = b"""#!lua name=loops
redis.register_function('loop', function() while true do end end)
redis.register_function('stubborn', function()
    while true do pcall(function() while true do end end) end
end)
redis.register_function('writer', function(keys)
    redis.call('SET', keys[1], 1)
    local began = os.clock()
    while os.clock() - began < 0.5 do end
    return 'done'
end)
"""


def statistics(client: RawClient) -> dict[bytes, Any]:
    listed = client.value("FUNCTION", "STATS")
    return dict(zip(listed[::2], listed[1::2], strict=True))


@pytest.mark.parametrize("name", ["loop", "stubborn"])
def test_a_function_is_killed(client: RawClient, tendis: ServerProcess, name: str) -> None:
    client.command("FUNCTION", "LOAD", LOOPS)
    with tendis.client() as caller:
        caller.request("FCALL", name, "1", "k", "argument")
        wait_until(lambda: statistics(client)[b"running_script"] is not None, "it runs")
        running_script = statistics(client)[b"running_script"]
        assert running_script[:4] == [
            b"name",
            name.encode(),
            b"command",
            [b"FCALL", name.encode(), b"1", b"k", b"argument"],
        ]
        assert running_script[4] == b"duration_ms"
        assert client.command("FUNCTION", "KILL") == b"+OK\r\n"
        reply = caller.reply()
        assert reply.startswith(b"-ERR Script killed by user with SCRIPT KILL... script: "), reply
    assert statistics(client)[b"running_script"] is None
    assert client.command("FUNCTION", "KILL").startswith(b"-NOTBUSY ")


def test_who_has_written_is_not_killed(alone: RawClient, tendis_default: ServerProcess) -> None:
    """Nor does it hold up others."""
    alone.command("FUNCTION", "LOAD", LOOPS)
    with tendis_default.client(seconds=60) as caller:
        caller.request("FCALL", "writer", "1", "k")
        unkillable = b"-UNKILLABLE Sorry the script already executed write commands"
        wait_until(lambda: alone.command("FUNCTION", "KILL").startswith(unkillable), "it writes")
        assert alone.command("SET", "elsewhere", "1") == b"+OK\r\n"
        assert caller.reply() == b"$4\r\ndone\r\n"
    alone.command("DEL", "k", "elsewhere")


def test_restoring_very_many_is_killed(alone: RawClient, tendis_default: ServerProcess) -> None:
    """None of what it has read is there then."""
    slow = b"\nlocal n = 0 while n < 1000000 do n = n + 1 end"
    many = [b"\xf5" + string(code(f"l{number}", f"f{number}") + slow) for number in range(500)]
    with tendis_default.client() as other:
        other.request("FUNCTION", "RESTORE", payload(*many))
        wait_until(lambda: statistics(alone)[b"running_script"] is not None, "it runs")
        assert alone.command("FUNCTION", "KILL") == b"+OK\r\n"
        assert other.reply() == b"-ERR Killed by user with FUNCTION KILL\r\n"
    assert codes(alone) == {}


# Libraries


def test_redis_py(tendis_default: ServerProcess, alone: RawClient) -> None:
    with redis.Redis(port=tendis_default.port, decode_responses=True) as library:
        assert library.function_load(code("mine", "f").decode()) == "mine"
        assert library.function_load(code("mine", "f").decode(), replace=True) == "mine"
        [listed] = library.function_list(library="m*", withcode=True)
        assert listed[:4] == ["library_name", "mine", "engine", "LUA"]
        assert library.fcall("f", 0) == 7
        dump = library.function_dump()
        assert library.function_delete("mine")
        assert library.function_restore(dump, policy="FLUSH")
        assert library.function_stats()["running_script"] is None
        assert library.function_flush()
        with pytest.raises(redis.ResponseError, match="No scripts in execution"):
            library.function_kill()


# Hostile


def test_code_is_not_too_long(alone: RawClient) -> None:
    """Nor where a payload makes much of little: 33,000 zeros that are said to be 4,400,000."""
    too_long = b"-ERR The code of a library may be 4 MB long\r\n"
    long = code("long", "f") + b"\n--" + bytes(4 << 20)
    assert alone.command("FUNCTION", "LOAD", long) == too_long
    assert alone.command("FUNCTION", "LOAD", long[: 4 << 20]) == b"$4\r\nlong\r\n"
    dump = alone.value("FUNCTION", "DUMP")
    assert alone.command("FUNCTION", "RESTORE", dump, "REPLACE") == b"+OK\r\n"
    bomb = payload(
        b"\xf5\xc3\x80",
        struct.pack(">I", 40_000),
        b"\x80",
        struct.pack(">I", 5_000_000),
        bytes(40_000),
    )
    assert alone.command("FUNCTION", "RESTORE", bomb) == too_long


def test_there_are_not_too_many_functions(alone: RawClient) -> None:
    many = """#!lua name=many
        for at = 1, %d do redis.register_function('f' .. at, function() return at end) end
    """
    reply = alone.command("FUNCTION", "LOAD", many % 10_001)
    assert reply.endswith(b"ERR A library may have 10000 functions\r\n")
    assert alone.command("FUNCTION", "LOAD", many % 10_000) == b"$4\r\nmany\r\n"
    assert alone.value("FCALL", "f10000", "0") == 10_000


def test_memory_is_bounded(alone: RawClient) -> None:
    greedy = "#!lua name=a\nlocal s = ('x'):rep(100000000) local t = s .. s .. s .. s"
    reply = alone.command("FUNCTION", "LOAD", greedy)
    assert reply == b"-ERR Error registering functions: not enough memory\r\n"
    hoard = b"""#!lua name=a
        local kept = {}
        redis.register_function('f', function()
            while true do kept[#kept + 1] = ('x'):rep(10000000) .. #kept end
        end)
        redis.register_function('g', function() return #kept end)
    """
    assert alone.command("FUNCTION", "LOAD", hoard) == b"$1\r\na\r\n"
    assert b"not enough memory" in alone.command("FCALL", "f", "0")
    assert alone.value("FCALL", "g", "0") in range(30)
