"""SORT and SORT_RO."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, stored
from tendis_py.commands.registry import REGISTRY, Keys, command
from tendis_py.errors import sort_denied, syntax_error
from tendis_py.resp.replies import Reply, Stream
from tendis_py.resp.requests import Request
from tendis_py.storage.events import Writes
from tendis_py.types import sort as sorts
from tendis_py.types.list import elements as lists
from tendis_py.types.sort import Sorting

_command = partial(
    command,
    group="generic",
    complexity=(
        "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the "
        "number of returned elements. When the elements are not sorted, complexity is O(N)."
    ),
    categories="set sortedset list dangerous -keyspace",
)

_DERIVED = Keys(
    "RO access",
    unknown=True,
    notes=(
        "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive "
        "from the content of the key we sort"
    ),
)
_TARGET = Keys(
    "OW update",
    unknown=True,
    notes=(
        "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear "
        "anywhere in the argument array"
    ),
)
_ARGUMENTS = {b"LIMIT": 2, b"GET": 1, b"BY": 1}
"""Options → how many arguments they have that could be taken for STORE."""


def _sort_keys(args: Request) -> list[tuple[int, str]]:
    """The key sorted, and that of the last STORE."""
    target = 0
    at = 2
    while at < len(args):
        word = args[at].upper()
        if word == b"STORE" and at + 1 < len(args):
            target = at + 1
        at += 1 + _ARGUMENTS.get(word, 0)
    return [(1, "RO access"), *([(target, "OW update")] if target else [])]


def _sort_ro_keys(args: Request) -> list[tuple[int, str]]:
    return [(1, "RO access")]


def _claims(request: Request) -> list[bytes] | None:
    """All keys where patterns lead to others: which ones, only the elements tell, and those can't
    be read before their key is claimed. A row read without a claim may be an old one that the
    cache then keeps."""
    keys = request[1:2]
    for word, value in pairwise(request[2:]):
        name = word.upper()
        if name in (b"BY", b"GET") and b"*" in value:
            return None
        if name == b"STORE":
            keys.append(value)
    return keys


class _Options:
    """What the arguments after the key say. Any may come again: the last one counts, but for GET,
    whose patterns add up."""

    __slots__ = ("_args", "_ctx", "gets", "sorting", "target")

    def __init__(self, ctx: Context, args: list[bytes], *, may_store: bool) -> None:
        self._ctx, self._args = ctx, args
        self.sorting = Sorting()
        self.gets: list[bytes] = []
        self.target: bytes | None = None
        at = 2
        while at < len(args):
            at += self._take(args[at].upper(), args[at + 1 : at + 3], may_store)
        self.sorting.exact = self.target is not None
        self.sorting.for_script = ctx.session is not ctx.client

    def _take(self, word: bytes, values: list[bytes], may_store: bool) -> int:
        """Take in one option; how many arguments it is, its name included."""
        sorting = self.sorting
        if word in (b"ASC", b"DESC"):
            sorting.descending = word == b"DESC"
            return 1
        if word == b"ALPHA":
            sorting.alpha = True
            return 1
        if word == b"LIMIT" and len(values) == 2:
            sorting.start, sorting.count = integer(values[0]), integer(values[1])
            return 3
        if word == b"BY" and values:
            sorting.by = values[0]
            if b"*" not in values[0]:  # "nosort"; another BY does not take that back
                sorting.keeps_order = True
            else:
                self._follow("BY")
        elif word == b"GET" and values:
            if values[0] != b"#":
                self._follow("GET")
            self.gets.append(values[0])
        elif word == b"STORE" and values and may_store:
            self.target = values[0]
        else:
            raise syntax_error()
        return 2

    def _follow(self, option: str) -> None:
        """A pattern may lead to any key: only who may read all of them may have that done."""
        permits = self._ctx.session.user.permits
        if permits is not None:
            command = REGISTRY.find(self._args)
            if not permits.reads_all_keys(command, self._args):
                raise sort_denied(option)


_SYNTAX = (
    "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"
)


def _sort_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    for at, _ in _sort_keys(args)[1:]:
        yield from stored(writes, "l", "sortstore", ctx.db.index, args[at])


@_command(
    "sort",
    -2,
    since="1.0.0",
    flags="write denyoom",
    keys=(Keys("RO access"), _DERIVED, _TARGET),
    find_keys=_sort_keys,
    claims=_claims,
    syntax=f"{_SYNTAX} [STORE destination]",
    events=_sort_events,
)
def sort(ctx: Context, args: list[bytes]) -> Reply:
    """Sorts the elements in a list, a set, or a sorted set, optionally storing the result."""
    options = _Options(ctx, args, may_store=True)
    found = sorts.elements(ctx.db, args[1], options.sorting, len(options.gets))
    if options.target is None:
        return _shown(ctx, found, options.gets)
    values = sorts.values(ctx.db, found, options.gets) if options.gets else found
    return lists.store(ctx.db, options.target, (value or b"" for value in values))


@_command(
    "sort_ro",
    -2,
    since="7.0.0",
    flags="readonly",
    keys=(Keys("RO access"), _DERIVED),
    find_keys=_sort_ro_keys,
    claims=_claims,
    syntax=_SYNTAX,
)
def sort_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the sorted elements of a list, a set, or a sorted set."""
    options = _Options(ctx, args, may_store=False)
    found = sorts.elements(ctx.db, args[1], options.sorting, len(options.gets))
    return _shown(ctx, found, options.gets)


def _shown(ctx: Context, found: Iterator[bytes], gets: list[bytes]) -> Reply:
    return Stream(sorts.values(ctx.db, found, gets) if gets else found)
