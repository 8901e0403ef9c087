"""Two servers, the same random requests: what is equal, and how the state is compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.model.strategies import COMPARISONS
from tests.model.strategies.common import NEAR, Request
from tests.support.resp import RawClient, decode
from tests.support.servers import ServerProcess, wait_until
from tests.support.transcript import comparable

DATABASES = (0, 1, 9)
NEAR_ENOUGH = 3000
"""What times may differ by, in whatever unit: the servers ask the clock moments apart."""

Pair = tuple[RawClient, RawClient]

_CONTENTS: dict[bytes, Request] = {
    b"string": [b"GET"],
    b"list": [b"LRANGE", b"", b"0", b"-1"],
    b"set": [b"SMEMBERS"],
    b"zset": [b"ZRANGE", b"", b"0", b"-1", b"WITHSCORES"],
    b"hash": [b"HGETALL"],
    b"stream": [b"XRANGE", b"", b"-", b"+"],
}
"""Type → the command that shows everything; the key goes to position 1."""


@contextlib.contextmanager
def both(tendis: ServerProcess, redis_server: ServerProcess, protocol: int) -> Iterator[Pair]:
    """A connection to each, after FLUSHALL."""
    with tendis.client(protocol=protocol) as ours, redis_server.client(protocol=protocol) as theirs:
        for client in (ours, theirs):
            assert client.command("FLUSHALL") == b"+OK\r\n"
        yield ours, theirs


def same(request: Request, ours: bytes, theirs: bytes) -> bool:
    marks = COMPARISONS.get(request[0].decode().lower(), "")
    if marks == NEAR:
        return _near(decode(ours), decode(theirs))
    return comparable(ours, marks) == comparable(theirs, marks)


def _near(here: Any, there: Any) -> bool:
    if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        return all(map(_near, here, there))
    if isinstance(here, int) and isinstance(there, int) and here > 0 < there:
        return abs(here - there) <= NEAR_ENOUGH
    return bool(here == there)


def check(pair: Pair, requests: list[Request]) -> None:
    """One pipeline to both; AssertionError naming the first request answered differently."""
    ours, theirs = (client.pipeline(requests) for client in pair)
    for number, (request, here, there) in enumerate(zip(requests, ours, theirs, strict=True)):
        assert same(request, here, there), (
            f"request {number} of the pipeline: {request}\n  ours  {here!r}\n  redis {there!r}"
        )


_SIZES: list[Request] = [
    *(part for database in DATABASES for part in ([b"SELECT", b"%d" % database], [b"DBSIZE"])),
    [b"DEBUG", b"DIGEST"],
]


def check_sizes(pair: Pair) -> None:
    """As many keys in each database, and equal digests of all data, in the end: both count what has
    expired until they sweep."""
    wait_until(
        lambda: len({tuple(client.pipeline(_SIZES)) for client in pair}) == 1, "equal DBSIZEs"
    )


def check_state(pair: Pair) -> None:
    """All databases hold the same: keys, types, encodings, contents, deadlines."""
    theirs = pair[1]
    for database in DATABASES:
        check(pair, [[b"SELECT", b"%d" % database], [b"KEYS", b"*"]])
        questions: list[Request] = []
        for name in sorted(decode(theirs.command("KEYS", "*"))):
            kind = theirs.command("TYPE", name).strip(b"+\r\n")
            show = _CONTENTS.get(kind, [b"TYPE"])
            questions += [
                [b"TYPE", name],
                [b"OBJECT", b"ENCODING", name],
                [show[0], name, *show[2:]],
                [b"PTTL", name],
                [b"PEXPIRETIME", name],
            ]
        check(pair, questions)
