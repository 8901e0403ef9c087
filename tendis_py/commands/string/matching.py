"""Compare and set, compare and delete: what Redis 8.4 and Kvrocks have for it.

Redis' manual of SET: "IFEQ: Set the key's value and expiration only if its current value is equal
to ifeq-value. If the key doesn't exist, it won't be created. IFNE: … only if its current value is
not equal … If the key doesn't exist, it will be created", IFDEQ and IFDNE likewise of digests. With
GET the reply is "the previous value of the key, regardless" of the condition. What is in no manual,
errors and their order, is that of Redis' own tests (tests/unit/type/string.tcl).
"""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import EXPIRY, Expiry, Option, options
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, ends, set_and_expire
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import DELEX_CONDITION, DELEX_TYPE, ReplyError, wrong_arity
from tendis_py.resp.replies import Reply
from tendis_py.storage.codec import STRING
from tendis_py.storage.events import Writes
from tendis_py.types.string import values as strings
from tendis_py.types.string.match import Match, digest, equals

_command = partial(command, group="string")


def _option(*, by_digest: bool, wants_equal: bool) -> Option:
    read = partial(Match, by_digest=by_digest, wants_equal=wants_equal)
    return Option("condition", read, once=True)


MATCHES = {
    b"IFEQ": _option(by_digest=False, wants_equal=True),
    b"IFNE": _option(by_digest=False, wants_equal=False),
    b"IFDEQ": _option(by_digest=True, wants_equal=True),
    b"IFDNE": _option(by_digest=True, wants_equal=False),
}
"""For a command's grammar, beside other conditions."""

MATCH_SYNTAX = "IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest"

_DIGEST_COST = "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value."


@_command(
    "digest",
    2,
    since="8.4.0",
    flags="readonly fast",
    keys=Keys("RO access"),
    complexity="O(N) where N is the length of the string value.",
    syntax="key",
)
def digest_(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the XXH3 hash of a string value."""
    row = strings.checked(ctx.db.find(args[1]))
    return None if row is None else digest(ctx.db, row)


@_command(
    "delex",
    -2,
    since="8.4.0",
    flags="write fast",
    keys=Keys("RW delete"),
    complexity=_DIGEST_COST,
    syntax=f"key [{MATCH_SYNTAX}]",
    events=ends,
)
def delex(ctx: Context, args: list[bytes]) -> Reply:
    """Conditionally removes the specified key based on value or digest comparison.

    Without a condition it is DEL of one key, of any type; with one, of a string only.
    """
    if len(args) not in (2, 4):
        raise wrong_arity("delex")
    row = ctx.db.peek(args[1])
    if row is None:
        return 0
    if len(args) > 2 and not _delex_match(args, row.type).holds(ctx.db, row):
        return 0
    ctx.db.delete(args[1], row)
    return 1


def _delex_match(args: list[bytes], type_: int) -> Match:
    """Redis looks at the condition last."""
    if type_ != STRING:
        raise ReplyError(DELEX_TYPE)
    option = MATCHES.get(args[2].upper())
    if option is None:
        raise ReplyError(DELEX_CONDITION)
    assert option.read is not None
    match: Match = option.read(args[3])
    return match


_kvrocks_command = partial(_command, origin="Kvrocks")


def _cas_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    return set_and_expire(ctx, args[1], writes, expires=True)


@_kvrocks_command(
    "cas",
    -4,
    since="2.0.5",
    flags="write denyoom fast",
    keys=Keys("RW access update"),
    syntax=(
        "key old-value new-value [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
        "PXAT unix-time-milliseconds]"
    ),
    long_value=3,
    events=_cas_events,
)
def cas(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the value of a key if the old one is as given: 1 if that was done, 0 if not, -1 if
    there is no such key. It expires only where that is asked for.

    Kvrocks (String::CAS in types/redis_string.cc): "Change the value of user_key to a new_value if
    the current value of the key matches old_value. ret will be: 1 if the operation is successful,
    -1 if the user_key does not exist, 0 if the operation fails".
    """
    expiry = options(args, 4, EXPIRY).get("expiry")
    deadline = expiry.deadline(ctx.db.now, "cas") if isinstance(expiry, Expiry) else 0
    row = strings.checked(ctx.db.peek(args[1]))
    if row is None:
        return -1
    if not equals(ctx.db, row, args[2]):
        return 0
    return int(strings.put_if(ctx.db, args[1], args[3], expire_at=deadline))


@_kvrocks_command(
    "cad",
    3,
    since="2.0.5",
    flags="write fast",
    keys=Keys("RW access delete"),
    syntax="key value",
    events=ends,
)
def cad(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes a key if its value is as given: 1 if that was done, 0 if not, -1 if there is no such
    key.
    """
    row = strings.checked(ctx.db.peek(args[1]))
    if row is None:
        return -1
    if not equals(ctx.db, row, args[2]):
        return 0
    ctx.db.delete(args[1], row)
    return 1
