"""Clients that track in all modes, read, write and see keys expire: all that each of them is sent,
byte by byte, beside the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.dialogue import listen, must_be_alike
from tests.support.embedded import MovedTime
from tests.support.servers import ServerProcess
from tests.support.transcript import RealTime

_KEYS = ("a", "ab", "b", "c")
_BEGIN = ["S PING", "A PING", "B PING", "c PING", "Z CLIENT TRACKING ON BCAST PREFIX nothing"]
"""Z always tracks: while nobody does, what was read before is forgotten here, and not by Redis."""

_key = st.sampled_from(_KEYS)
_modes = st.sampled_from(
    """ON|ON|ON NOLOOP|ON OPTIN|ON OPTOUT NOLOOP|ON BCAST|ON BCAST NOLOOP|ON BCAST PREFIX a|OFF
    ON BCAST PREFIX ab PREFIX b|ON REDIRECT $S|ON NOLOOP REDIRECT $B|ON BCAST REDIRECT $S
    ON REDIRECT $A|ON OPTIN REDIRECT $c""".replace("\n", "|").split("|")
).map(lambda mode: f"CLIENT TRACKING {mode.strip()}")
_reads = st.builds(
    "{} {}".format,
    st.sampled_from(["GET", "EXISTS", "TOUCH", "TYPE", "STRLEN", "MGET", "LLEN", "HLEN"]),
    _key,
)
_several = st.builds("MGET {} {}".format, _key, _key)
_writes = st.one_of(
    st.builds("SET {} 1".format, _key),
    st.builds("MSET {} 1 {} 2".format, _key, _key),
    st.builds("{} {}".format, st.sampled_from(["DEL", "INCR", "PERSIST", "GETDEL", "LPOP"]), _key),
    st.builds("DEL {} {}".format, _key, _key),
    st.builds(
        "{} {} 1".format, st.sampled_from(["APPEND", "LPUSH", "SADD", "SETNX", "GETSET"]), _key
    ),
    st.builds("{} {} 100".format, st.sampled_from(["EXPIRE", "PEXPIRE"]), _key).map(
        lambda text: f"{text}00000"
    ),
    st.builds("HSET {} f {}".format, _key, st.integers(0, 1)),
    st.builds("{} {} {}".format, st.sampled_from(["RENAME", "COPY", "LMOVE"]), _key, _key).map(
        lambda text: f"{text} LEFT RIGHT" if text.startswith("LMOVE") else text
    ),
)
_others = st.sampled_from(
    [
        "CLIENT CACHING YES",
        "CLIENT CACHING NO",
        "CLIENT TRACKINGINFO",
        "PING",
        "NOTHING",
        "SELECT 1",
        "SELECT 0",
        "GET",
        "CLIENT GETNAME",
    ]
)
_requests = st.one_of(_reads, _reads, _several, _writes, _writes, _others, _modes)
_speakers = st.sampled_from("AABBcS")
_pipelines = st.builds(
    lambda speaker, requests: [f"{speaker} {' | '.join(requests)}"],
    _speakers,
    st.lists(_requests, min_size=1, max_size=4),
)
_transactions = st.builds(
    lambda speaker, requests: [f"{speaker} {' | '.join(['MULTI', *requests, 'EXEC', 'PING'])}"],
    _speakers,
    st.lists(st.one_of(_reads, _writes, _others, st.just("FLUSHALL")), max_size=5),
)
_flushes = st.builds(
    lambda speaker, command: [f"{speaker} {command}"],
    _speakers,
    st.sampled_from(["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "SWAPDB 0 1"]),
)
_expiries = _key.map(lambda key: [f"S PEXPIRE {key} 1", "+3"])
_scenes = st.lists(
    st.one_of(*[_pipelines] * 6, _transactions, _flushes, _expiries), min_size=4, max_size=24
)


@pytest.fixture(scope="module")
def stages(
    tendis_in_moved_time: MovedTime, redis_server: ServerProcess
) -> Iterator[tuple[MovedTime, RealTime]]:
    """In which nothing expires before somebody looks."""
    stages = tendis_in_moved_time, RealTime(redis_server)
    for stage in stages:
        with stage.client() as client:
            assert client.command("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"+OK\r\n"
    yield stages
    for stage in stages:
        with stage.client() as client:
            client.command("DEBUG", "SET-ACTIVE-EXPIRE", "1")


@settings(max_examples=40)
@given(_scenes)
@example(
    [
        ["A CLIENT TRACKING ON BCAST NOLOOP | MSET a 1 b 2"],
        ["S PEXPIRE b 1", "+3"],
        ["A DEL b"],
    ]
)
@example([["A CLIENT TRACKING ON BCAST PREFIX a | SET a 1 | CLIENT TRACKING ON BCAST"]])
@example([["A CLIENT TRACKING ON BCAST"], ["A MULTI | SET a 1 | CLIENT CACHING YES | EXEC | PING"]])
@example([["A CLIENT TRACKING ON | GET a"], ["B MSET ab 1 a 1 | GET a"], ["A GET a | SET a 2"]])
def test_all_are_told_what_redis_tells(
    stages: tuple[MovedTime, RealTime], scene: list[list[str]]
) -> None:
    lines = [*_BEGIN, *(line for part in scene for line in part)]
    ours, theirs = (listen(lines, stage) for stage in stages)
    must_be_alike(ours, theirs)
