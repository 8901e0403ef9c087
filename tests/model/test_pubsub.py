"""Three clients subscribe, publish and go on, here and at the real server: each reads the same.

After every pipeline each client asks PING, and reads up to its answer: what was published before is
to be there by then. 80 examples a threading model; 2,000 with ``-m soak``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.strategies.common import Request
from tests.support.resp import Aggregate, RawClient, decode, encode_request
from tests.support.servers import ServerProcess, wait_until

CLIENTS = 3

names = st.sampled_from([b"a", b"b", b"ab", b"news", b"", b"\x00\xff\r\n", b"a*", b"?"])
patterns = st.sampled_from(
    [b"a*", b"*b", b"*", b"**", b"?", b"n[ef]ws", b"[^a]*", b"\\?", b"", b"a", b"news"]
)
texts = st.sampled_from([b"one", b"two", b"", b"\r\n\x00", b"x" * 300])


def subscribing(word: bytes, names: st.SearchStrategy[bytes]) -> st.SearchStrategy[Request]:
    return st.lists(names, min_size=1, max_size=3).map(lambda chosen: [word, *chosen])


def leaving(word: bytes, names: st.SearchStrategy[bytes]) -> st.SearchStrategy[Request]:
    return st.lists(names, max_size=2).map(lambda chosen: [word, *chosen])


def one_of(*requests: bytes) -> st.SearchStrategy[Request]:
    return st.sampled_from([request.split() for request in requests])


requests = st.one_of(
    subscribing(b"SUBSCRIBE", names),
    subscribing(b"PSUBSCRIBE", patterns),
    subscribing(b"SSUBSCRIBE", names),
    leaving(b"UNSUBSCRIBE", names),
    leaving(b"PUNSUBSCRIBE", patterns),
    leaving(b"SUNSUBSCRIBE", names),
    st.tuples(st.just(b"PUBLISH"), names, texts).map(list),
    st.tuples(st.just(b"PUBLISH"), names, texts).map(list),
    st.tuples(st.just(b"SPUBLISH"), names, texts).map(list),
    one_of(b"PING", b"PING hello", b"HELLO 3", b"HELLO 3", b"HELLO 2", b"RESET", b"SUBSCRIBE"),
    one_of(b"SET k v", b"GET k", b"LPUSH k v", b"PUBSUB NUMPAT", b"PUBSUB NUMSUB a b", b"NOSUCH"),
    one_of(b"PUBSUB SHARDNUMSUB a news", b"PUBSUB CHANNELS n*", b"CLIENT REPLY SKIP"),
)
pipelines = st.lists(
    st.tuples(st.integers(0, CLIENTS - 1), st.lists(requests, min_size=1, max_size=6)),
    min_size=1,
    max_size=12,
)


@contextlib.contextmanager
def clients_of(server: ServerProcess) -> Iterator[list[RawClient]]:
    """Of a server that has no others any more."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(CLIENTS)]
        first = clients[0]
        wait_until(
            lambda: first.command("CLIENT", "LIST").count(b"id=") == CLIENTS, "they are alone"
        )
        assert first.command("FLUSHALL") == b"+OK\r\n"
        yield clients


def step(clients: list[RawClient], who: int, pipeline: list[Request]) -> list[list[Any]]:
    """What each client reads because of it, as far as Redis says what that is."""
    clients[who].send(b"".join(map(encode_request, [*pipeline, [b"PING", b"end"]])))
    return [fixed(read_to_the_end(client)) for client in (clients[who], *clients)]


def read_to_the_end(client: RawClient) -> list[Any]:
    """Everything up to now."""
    token = b"now"
    client.request(b"PING", token)
    found: list[Any] = []
    while True:
        reply = client.reply()
        value = decode(reply)
        if value in (token, [b"pong", token]):
            return found
        found.append((reply[:1], value.items if isinstance(value, Aggregate) else value))


def fixed(replies: list[Any]) -> list[Any]:
    """``replies``, what comes in any order being put into one: names that are unsubscribed from
    together, patterns that one message matches."""
    found: list[Any] = []
    for kind, group in groupby(replies, key=_kind):
        together = list(group)
        if isinstance(kind, str):
            found.append((kind, together[0][0]))
        elif kind is None:
            found += together
        elif kind[1] == b"pmessage":
            found += sorted(together)
        else:
            found.append((kind, sorted(repr(value[1]) for _, value in together)))
            found.append([value[2] for _, value in together])
    return found


def _kind(reply: tuple[bytes, Any]) -> Any:
    marker, value = reply
    if isinstance(value, list) and value:
        if value[0] == b"server":
            return "greeting"  # its fields are compared elsewhere
        if value[0] == b"pmessage":
            return marker, value[0], value[2], value[3]
        if isinstance(value[0], bytes) and value[0].endswith(b"unsubscribe"):
            return marker, value[0]
    return None


drawn = given(steps=pipelines)


def compare(
    tendis: ServerProcess, redis_server: ServerProcess, steps: list[tuple[int, list[Request]]]
) -> None:
    with clients_of(tendis) as ours, clients_of(redis_server) as theirs:
        for number, (who, pipeline) in enumerate(steps):
            here, there = (step(clients, who, pipeline) for clients in (ours, theirs))
            assert here == there, f"step {number}: {who} {pipeline}"


@settings(max_examples=80)
@drawn
def test_each_reads_what_it_reads_at_redis(
    tendis: ServerProcess, redis_server: ServerProcess, steps: list[tuple[int, list[Request]]]
) -> None:
    compare(tendis, redis_server, steps)


@pytest.mark.soak
@settings(max_examples=2000)
@drawn
def test_at_length(
    tendis: ServerProcess, redis_server: ServerProcess, steps: list[tuple[int, list[Request]]]
) -> None:
    compare(tendis, redis_server, steps)
