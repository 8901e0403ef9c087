"""Pipelined runs of one command on one sorted set or stream, which tendis-py takes at once, against
the real server: with thresholds so low that the set is in rows, and at the default ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.model.machine import both, check, check_state
from tests.model.strategies.common import Request, one_of
from tests.support.resp import decode
from tests.support.servers import ServerProcess

LOW = [
    *("--zset-max-listpack-entries", "4", "--zset-max-listpack-value", "12"),
    *("--stream-node-max-entries", "4"),
]
pytestmark = pytest.mark.parametrize(
    "thresholds", [LOW, []], ids=["low", "default"], scope="module"
)

_members = st.integers(0, 11).map(lambda number: b"member:%d" % number)
_scores = one_of("0 0 1 1 2 3 -1 -1.5 -0 -0 0.1 3e20 inf -inf")
_odd_scores = _scores | one_of("x nan NX")


def _repeated(
    name: bytes, *arguments: st.SearchStrategy[bytes], least: int = 4, most: int = 24
) -> st.SearchStrategy[list[Request]]:
    request = st.tuples(*arguments).map(lambda found: [name, b"a", *found])
    return st.lists(request, min_size=least, max_size=most)


_runs = st.one_of(
    _repeated(b"ZADD", _scores, _members),
    _repeated(b"ZADD", _scores, _members),
    _repeated(b"ZADD", _odd_scores, _members),
    _repeated(b"ZINCRBY", _scores, _members),
    _repeated(b"ZINCRBY", _odd_scores, _members),
    _repeated(b"ZSCORE", _members),
    _repeated(b"ZPOPMIN", most=8),
    _repeated(b"ZPOPMAX", most=8),
    _repeated(b"ZRANGE", st.just(b"0"), st.just(b"-1"), st.just(b"WITHSCORES"), least=1, most=1),
    _repeated(b"ZRANK", _members, least=1, most=2),
    st.just([[b"SET", b"a", b"text"]]),
    st.just([[b"DEL", b"a"]]),
)


_TO_NEGATIVE_ZERO = [
    [b"ZADD", b"a", score, b"member:0"] for score in (b"-0", b"1", b"0", b"1", b"-0")
]


@settings(max_examples=80)
@example(protocol=2, pipelines=[[_TO_NEGATIVE_ZERO]])
@given(
    protocol=st.sampled_from([2, 3]),
    pipelines=st.lists(st.lists(_runs, min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_runs_on_a_zset_are_as_its_commands_one_by_one(
    servers: tuple[ServerProcess, ServerProcess],
    protocol: int,
    pipelines: list[list[list[Request]]],
) -> None:
    seed = [part for number in range(12) for part in (b"%d" % (number % 5), b"member:%d" % number)]
    with both(*servers, protocol) as pair:
        check(pair, [[b"ZADD", b"a", *seed]])
        for pipeline in pipelines:
            check(pair, [request for run in pipeline for request in run])
        check_state(pair)


_ids = one_of("* * * * * * * * 1-1 NOMKSTREAM")
_fields = st.sampled_from([[b"f", b"v"]] * 6 + [[b"g", b"v"], [b"f", b"v", b"g", b"1"], [b"f"]])
_additions = st.lists(
    st.tuples(_ids, _fields).map(lambda found: [b"XADD", b"s", found[0], *found[1]]),
    min_size=4,
    max_size=12,
)
_same_additions = st.tuples(
    st.sampled_from([[b"f", b"v"], [b"f", b"v"], [b"f", b"v", b"g"], [b"f"]]), st.integers(4, 12)
).map(lambda found: [[b"XADD", b"s", b"*", *found[0]]] * found[1])
_trimming = one_of("0 2 5 9").map(lambda length: [[b"XTRIM", b"s", b"MAXLEN", b"~", length]])
_elsewhere = st.sampled_from([[[b"SET", b"s", b"text"]], [[b"DEL", b"s"]]])


@settings(max_examples=60)
@given(runs=st.lists(_additions | _same_additions | _trimming | _elsewhere, max_size=8))
def test_runs_of_xadd_are_as_one_by_one(
    servers: tuple[ServerProcess, ServerProcess], runs: list[list[Request]]
) -> None:
    pipeline = [request for run in runs for request in run]
    with both(*servers, 2) as pair:
        answers = [[decode(reply) for reply in client.pipeline(pipeline)] for client in pair]
        ids = [[found for found in answer if _is_id(found)] for answer in answers]
        for ours, theirs in zip(*answers, strict=True):
            assert ours == theirs or (_is_id(ours) and _is_id(theirs))
        check(pair, [[b"XLEN", b"s"], [b"TYPE", b"s"]])
        if pair[0].command("TYPE", "s") == b"+stream\r\n":
            entries = [decode(client.command("XRANGE", "s", "-", "+")) for client in pair]
            assert [fields for _, fields in entries[0]] == [fields for _, fields in entries[1]]
            left = [id_ for id_, _ in entries[0]]
            assert left == ids[0][len(ids[0]) - len(left) :]


def _is_id(answer: Any) -> bool:
    return isinstance(answer, bytes) and b"-" in answer and answer.replace(b"-", b"").isdigit()
