"""Random commands, asked of tendis-py and of the real server: the same replies, byte for byte.

Requests go out in random pipelines, so that they share batches (which see their own writes, and
whose failing commands must be undone alone). 150 examples a threading model; 2,000 with ``-m soak``
or ``--hypothesis-profile=full``.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.machine import both, check, check_sizes, check_state
from tests.model.strategies import COMMANDS, SEEDS
from tests.model.strategies.common import Request, key, one_of
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, wait_until

seeds = st.lists(st.sampled_from(SEEDS), max_size=6)
pipelines = st.lists(st.lists(COMMANDS, min_size=1, max_size=12), min_size=1, max_size=6)


def compare(
    tendis: ServerProcess,
    redis_server: ServerProcess,
    seeds: list[Request],
    pipelines: list[list[Request]],
    protocol: int,
) -> None:
    with both(tendis, redis_server, protocol) as pair:
        check(pair, seeds)
        for requests in pipelines:
            check(pair, requests)
        check_state(pair)
        check_sizes(pair)


drawn = given(seeds=seeds, pipelines=pipelines, protocol=st.sampled_from([2, 3]))


@drawn
def test_replies_and_state_are_those_of_redis(
    tendis: ServerProcess,
    redis_server: ServerProcess,
    seeds: list[Request],
    pipelines: list[list[Request]],
    protocol: int,
) -> None:
    compare(tendis, redis_server, seeds, pipelines, protocol)


@pytest.mark.soak
@settings(max_examples=2000)
@drawn
def test_at_length(
    tendis: ServerProcess,
    redis_server: ServerProcess,
    seeds: list[Request],
    pipelines: list[list[Request]],
    protocol: int,
) -> None:
    compare(tendis, redis_server, seeds, pipelines, protocol)


short = one_of("1 20 40 60")
with_deadline = st.one_of(
    st.tuples(st.just(b"SET"), key, st.just(b"v"), st.just(b"PX"), short),
    st.tuples(st.just(b"PSETEX"), key, short, st.just(b"v")),
    st.tuples(st.just(b"PEXPIRE"), key, short),
    st.tuples(st.just(b"GETEX"), key, st.just(b"PX"), short),
    st.tuples(st.just(b"SET"), key, st.just(b"w"), st.just(b"KEEPTTL")),
    st.tuples(st.just(b"SET"), key, st.just(b"stays")),
    st.tuples(st.just(b"PERSIST"), key),
    st.tuples(st.just(b"RENAME"), key, key),
    st.tuples(st.just(b"COPY"), key, key),
).map(list)


def has_deadlines(client: RawClient) -> bool:
    """Whether a key is there that is to go."""
    return any(client.value("PTTL", name) != -1 for name in client.value("KEYS", "*"))


@settings(max_examples=12)
@given(
    before=st.lists(with_deadline, min_size=3, max_size=12), after=st.lists(COMMANDS, max_size=6)
)
def test_keys_end_when_redis_ends_them(
    tendis: ServerProcess,
    redis_server: ServerProcess,
    before: list[Request],
    after: list[Request],
) -> None:
    """All deadlines are set at once, and looked at when all have passed."""
    with both(tendis, redis_server, 2) as pair:
        for client in pair:
            client.pipeline(before)
        wait_until(lambda: not any(map(has_deadlines, pair)), "all deadlines have passed")
        check(pair, after)
        check_state(pair)
        for client in pair:
            assert client.command("SELECT", 0) == b"+OK\r\n"
        ours = pair[0]
        wait_until(
            lambda: bool(ours.value("DBSIZE") == len(ours.value("KEYS", "*"))),
            "expired keys have left DBSIZE without having been asked for",
        )


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pipeline_of_everything_at_once(
    tendis: ServerProcess, redis_server: ServerProcess, protocol: int
) -> None:
    """One batch far larger than random ones are."""
    requests: list[Request] = []
    for number in range(3000):
        name = b"key:%d" % (number % 7)
        requests += [
            [b"INCR", name],
            [b"APPEND", b"log", b"%d," % number],
            [b"GET", name],
            [b"SET", name, b"text", b"NX", b"GET"],
            [b"INCRBYFLOAT", name, b"0.5"] if number % 500 == 499 else [b"STRLEN", b"log"],
        ]
    with both(tendis, redis_server, protocol) as pair:
        check(pair, requests)
        check_state(pair)
