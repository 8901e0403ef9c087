"""Three clients beside one another: transactions, what they watch, and commands that wait.

The real server plays first: each step it tells who was answered, and with what. Then tendis-py has
to answer the same clients at the same steps, in every threading model. Who still waits at the end
is unblocked: had it been answered before, that would show then.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.resp import encode_request
from tests.support.servers import ServerProcess, wait_until

CLIENTS = 3

Step = tuple[int, str]
"""Which client, and what it sends."""

_TRANSACTIONS = """MULTI|EXEC|EXEC|DISCARD|WATCH a|WATCH b c|UNWATCH|MULTI|GET a|SET a 1|SET a 2
DEL a b|INCR c|EXPIRE a 1000|RENAME a b|COPY b a|NOSUCH|SET a|MSET a 1 b 2|FLUSHALL
SWAPDB 0 1|SELECT 1|SELECT 0|RESET|SADD s x|SREM s x|APPEND a x|MOVE a 1|PERSIST a|GETDEL a"""
_WAITING = """BLPOP l m 0|BRPOP m 0|BLMOVE l m LEFT RIGHT 0|BLMOVE m l RIGHT LEFT 0|BRPOPLPUSH l l 0
BLMPOP 0 2 l m LEFT COUNT 2|BZPOPMIN z y 0|BZPOPMAX y 0|BZMPOP 0 2 y z MAX COUNT 2
XREAD BLOCK 0 STREAMS x $|XREAD BLOCK 0 STREAMS x w 0 0|XREADGROUP GROUP g c BLOCK 0 STREAMS x >"""
_FEEDING = """RPUSH l 1|RPUSH l 1 2 3|LPUSH m x y|LMOVE l m LEFT LEFT|LPOP l|DEL l m|SET l x
ZADD z 1 a|ZADD y 1 a 2 b 3 c|ZUNIONSTORE y 1 z|DEL y z|XADD x * f v|XADD w 1-* f v|DEL x
XGROUP CREATE x g $ MKSTREAM|XGROUP DESTROY x g|SET x v|RENAME l m|RENAME x w|COPY m l
SORT m ALPHA STORE l|LTRIM l 1 0|LINSERT l BEFORE 1 0|MOVE l 1|FLUSHDB
SWAPDB 0 1|SELECT 1|SELECT 0"""


def _words(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from([line for text in texts for line in text.replace("\n", "|").split("|")])


_clients = st.integers(0, CLIENTS - 1)
transactions = st.lists(st.tuples(_clients, _words(_TRANSACTIONS)), max_size=40)
waiting = st.lists(
    st.tuples(
        _clients,
        st.one_of(
            _words(_WAITING),
            _words(_FEEDING),
            _words(_FEEDING),
            _words("MULTI|EXEC|EXEC|WATCH l z"),
        ),
    ),
    max_size=30,
)


@dataclass(frozen=True, slots=True)
class Played:
    """What the real server made of a step: the replies that came, by client."""

    step: Step
    replies: dict[int, bytes]


class Trio:
    """Three connections to one server, and one to look at them."""

    def __init__(self, server: ServerProcess, stack: contextlib.ExitStack) -> None:
        self.control = stack.enter_context(server.client())
        self.control.command("FLUSHALL")
        self.clients = [stack.enter_context(server.client()) for _ in range(CLIENTS)]
        self.ids = [client.value("CLIENT", "ID") for client in self.clients]
        self.waits: set[int] = set()

    def send(self, step: Step) -> None:
        number, line = step
        self.clients[number].send(encode_request(line.encode().split()))
        self.waits.add(number)

    def blocked(self) -> set[int]:
        """Those whom the server lists as blocked."""
        lines = self.control.value("CLIENT", "LIST").splitlines()
        flagged = {int(one.split()[0][3:]) for one in lines if b"b" in _flags(one)}
        return {number for number, id_ in enumerate(self.ids) if id_ in flagged}

    def _take(self, number: int) -> bytes:
        self.waits.discard(number)
        return self.clients[number].reply()

    def answered(self, step: Step) -> dict[int, bytes]:
        """The replies that have come since ``step``, once everybody has got one or is blocked: for
        longer than Redis blocks who has it flush a database."""
        number, flushes = step[0], step[1].startswith("FLUSH")
        found: dict[int, bytes] = {}
        if flushes:
            found[number] = self._take(number)

        def settled() -> bool:
            blocked = self.blocked()
            ready = [number for number in sorted(self.waits) if self.clients[number].has_more()]
            found.update((number, self._take(number)) for number in ready)
            return not ready and self.waits <= blocked

        wait_until(settled, "each client is answered or blocked")
        return found


def _flags(line: bytes) -> bytes:
    return line.partition(b" flags=")[2].partition(b" ")[0]


def play(server: ServerProcess, steps: list[Step]) -> list[Played]:
    """What the real server answers."""
    with contextlib.ExitStack() as stack:
        trio = Trio(server, stack)
        played = []
        for step in steps:
            if step[0] not in trio.waits:
                trio.send(step)
                played.append(Played(step, trio.answered(step)))
        played.append(Played((0, ""), _unblock(trio)))
        return played


def _unblock(trio: Trio) -> dict[int, bytes]:
    """Those who still wait are told so."""
    found = {}
    for number in sorted(trio.waits):
        assert trio.control.command("CLIENT", "UNBLOCK", trio.ids[number], "ERROR") == b":1\r\n"
        found[number] = trio.clients[number].reply()
    return found


def follow(server: ServerProcess, played: list[Played]) -> None:
    """Have tendis-py play the same."""
    with contextlib.ExitStack() as stack:
        trio = Trio(server, stack)
        for number, one in enumerate(played):
            if one.step[1]:
                trio.send(one.step)
            else:
                wait_until(lambda: trio.blocked() == trio.waits, "the same clients wait")
                assert _unblock(trio) == one.replies
                return
            if one.step[0] not in one.replies:
                client = one.step[0]
                wait_until(lambda client=client: client in trio.blocked(), "it waits")
            for client, expected in one.replies.items():
                found = trio.clients[client].reply()
                trio.waits.discard(client)
                assert _same(found, expected), (
                    f"step {number}, {one.step}, client {client}: {found!r}, Redis {expected!r}"
                )


def _same(ours: bytes, theirs: bytes) -> bool:
    """IDs that the time decides are compared by their length."""
    return ours == theirs or (b"-0\r\n" in theirs and len(ours) == len(theirs))


def compare(tendis: ServerProcess, redis_server: ServerProcess, steps: list[Step]) -> None:
    follow(tendis, play(redis_server, steps))


@settings(max_examples=40)
@given(transactions)
@example([(0, "WATCH a"), (1, "SET a 1"), (0, "MULTI"), (0, "GET a"), (0, "EXEC")])
@example([(0, "WATCH b c"), (1, "SWAPDB 0 1"), (0, "MULTI"), (0, "EXEC")])
def test_transactions(
    tendis: ServerProcess, redis_server: ServerProcess, steps: list[Step]
) -> None:
    compare(tendis, redis_server, steps)


@settings(max_examples=40)
@given(waiting)
@example([(0, "BLMOVE l m LEFT RIGHT 0"), (1, "BLPOP l m 0"), (2, "RPUSH l 1 2 3")])
@example([(0, "BLPOP l m 0"), (1, "MULTI"), (1, "RPUSH l 1"), (1, "DEL l m"), (1, "EXEC")])
def test_commands_that_wait(
    tendis: ServerProcess, redis_server: ServerProcess, steps: list[Step]
) -> None:
    compare(tendis, redis_server, steps)


@pytest.mark.soak
@settings(max_examples=2000)
@given(st.one_of(transactions, waiting))
def test_at_length(tendis: ServerProcess, redis_server: ServerProcess, steps: list[Step]) -> None:
    compare(tendis, redis_server, steps)
