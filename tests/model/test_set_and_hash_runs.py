"""Pipelined runs of one command on one set or hash, which tendis-py takes at once, against the real
server: with thresholds so low that they are soon in rows, and at the default ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.machine import Pair, both, check, check_state
from tests.model.strategies.common import Request, one_of
from tests.support.resp import decode
from tests.support.servers import ServerProcess

LOW = [
    *("--set-max-intset-entries", "4", "--set-max-listpack-entries", "4"),
    *("--hash-max-listpack-entries", "4", "--hash-max-listpack-value", "12"),
]
pytestmark = pytest.mark.parametrize(
    "thresholds", [LOW, []], ids=["low", "default"], scope="module"
)

_names = one_of("1 2 3 a b c d e f g h i") | st.sampled_from([b"", b"long" * 20])
_values = one_of("1 2 abc") | st.sampled_from([b"", b"long" * 20])
_keys = one_of("set set set hash hash hash text new")


def _repeated(
    name: bytes, *arguments: st.SearchStrategy[bytes]
) -> st.SearchStrategy[list[Request]]:
    """Four times or more in a row, on one key."""
    rest = st.lists(st.tuples(*arguments), min_size=4, max_size=24)
    return st.tuples(_keys, rest).map(
        lambda drawn: [[name, drawn[0], *arguments] for arguments in drawn[1]]
    )


_others = st.sampled_from(
    [
        [b"SADD", b"set", b"1", b"x", b"a"],
        [b"SADD", b"set"],
        [b"SADD", b"new", b"1"],
        [b"SREM", b"set", b"a", b"b", b"c"],
        [b"DEL", b"set", b"hash", b"new"],
        [b"HSET", b"hash", b"a", b"1", b"b", b"2"],
        [b"HGET", b"hash"],
        [b"HDEL", b"hash", b"a", b"b", b"c"],
        [b"HEXPIRE", b"hash", b"1000", b"FIELDS", b"1", b"d"],
        [b"HPEXPIRE", b"hash", b"0", b"FIELDS", b"1", b"e"],
        [b"EXPIRE", b"set", b"1000"],
    ]
)
_runs = st.one_of(
    _repeated(b"SADD", _names),
    _repeated(b"HSET", _names, _values),
    _repeated(b"HGET", _names),
    _others.map(lambda request: [request]),
)


def _fill(pair: Pair) -> None:
    names = [b"a", b"d", b"e", b"g", b"x", b"y", b"z"]
    check(
        pair,
        [
            [b"SADD", b"set", *names],
            [b"HSET", b"hash", *[part for name in names for part in (name, b"1")]],
            [b"SET", b"text", b"1"],
        ],
    )


@settings(max_examples=80)
@given(
    protocol=st.sampled_from([2, 3]),
    filled=st.booleans(),
    pipelines=st.lists(st.lists(_runs, min_size=1, max_size=5), min_size=1, max_size=4),
)
def test_they_are_as_the_commands_one_by_one(
    servers: tuple[ServerProcess, ServerProcess],
    protocol: int,
    filled: bool,
    pipelines: list[list[list[Request]]],
) -> None:
    with both(*servers, protocol) as pair:
        if filled:
            _fill(pair)
        for pipeline in pipelines:
            check(pair, [request for run in pipeline for request in run])
        check_state(pair)


@settings(max_examples=30)
@given(
    protocol=st.sampled_from([2, 3]),
    size=st.integers(1, 40),
    runs=st.lists(st.integers(1, 12), min_size=1, max_size=5),
)
def test_members_are_popped_until_there_are_none(
    servers: tuple[ServerProcess, ServerProcess], protocol: int, size: int, runs: list[int]
) -> None:
    """Which ones is up to chance, but how many are left is not, and in the end all have come."""
    popped: list[list[bytes]] = []
    with both(*servers, protocol) as pair:
        check(pair, [[b"SADD", b"set", *[b"member:%d" % number for number in range(size)]]])
        for count in [*runs, size + 4]:
            pops = [client.pipeline([[b"SPOP", b"set"]] * count) for client in pair]
            missing = [[decode(reply) for reply in replies].count(None) for replies in pops]
            assert missing[0] == missing[1]
            check(pair, [[b"SCARD", b"set"], [b"OBJECT", b"ENCODING", b"set"]])
            popped.append(sorted(pops[0]))
        assert sorted(decode(reply) for run in popped for reply in run if decode(reply)) == sorted(
            b"member:%d" % number for number in range(size)
        )
