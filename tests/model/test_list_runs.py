"""Pipelined runs of LPUSH, RPUSH, LPOP and RPOP on one list, which tendis-py takes at once, against
the real server: with a threshold so low that the list is in rows, and at the default one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.machine import both, check, check_state
from tests.model.strategies.common import Request, one_of
from tests.support.servers import ServerProcess

LOW = ["--list-max-listpack-size", "3"]
pytestmark = pytest.mark.parametrize(
    "thresholds", [LOW, []], ids=["low", "default"], scope="module"
)

_values = st.sampled_from(
    [b"x", b"y", b"1", b"-5000", b"9223372036854775807", b"", b"a" * 70, b"a" * 300, b"a" * 9000]
)
_any_key = st.sampled_from([b"a"] * 12 + [b"b"])


def _repeated(
    names: str, *arguments: st.SearchStrategy[bytes], least: int = 4, most: int = 24
) -> st.SearchStrategy[list[Request]]:
    def requests(name: bytes) -> st.SearchStrategy[list[Request]]:
        request = st.tuples(*arguments).map(lambda found: [name, *found])
        return st.lists(request, min_size=least, max_size=most)

    return one_of(names).flatmap(requests)


_key = st.just(b"a")
_runs = st.one_of(
    _repeated("LPUSH RPUSH", _key, _values),
    _repeated("LPUSH RPUSH", _key, _values),
    _repeated("LPUSH RPUSH", _any_key, _values),
    _repeated("LPUSH RPUSH", _key, _values).map(lambda run: [*run, [*run[0], b"x"]]),
    _repeated("LPOP RPOP", _key),
    _repeated("LPOP RPOP", _key),
    _repeated("LPOP RPOP", _any_key),
    _repeated("LPOP RPOP", _key, one_of("1 2 x")),
    st.just([[b"LINSERT", b"a", b"BEFORE", b"x", b"y"], [b"LREM", b"a", b"1", b"x"]]),
    _repeated("LRANGE", _key, one_of("0 1 -3"), one_of("-1 2"), least=1, most=2),
    _repeated("LINDEX", _key, one_of("0 1 -2"), least=1, most=2),
    st.just([[b"OBJECT", b"ENCODING", b"a"]]),
    st.just([[b"SET", b"a", b"text"]]),
    st.just([[b"DEL", b"a"]]),
    st.just([[b"EXPIRE", b"a", b"100"]]),
)


@settings(max_examples=80)
@given(
    protocol=st.sampled_from([2, 3]),
    pipelines=st.lists(st.lists(_runs, min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_they_are_as_the_commands_one_by_one(
    servers: tuple[ServerProcess, ServerProcess],
    protocol: int,
    pipelines: list[list[list[Request]]],
) -> None:
    with both(*servers, protocol) as pair:
        check(pair, [[b"RPUSH", b"a", *(b"%d" % number for number in range(12))]])
        for pipeline in pipelines:
            check(pair, [request for run in pipeline for request in run])
        check_state(pair)
