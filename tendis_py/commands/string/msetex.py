"""MSETEX: MSET and MSETNX with SET's options, of Redis 8.4."""

from __future__ import annotations

from tendis_py.commands.arguments import EXPIRY, Expiry, Option, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, set_and_expire
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.string.values import EXISTS
from tendis_py.errors import MSETEX_NUMKEYS, MSETEX_PAIRS, ReplyError
from tendis_py.resp.replies import Reply
from tendis_py.storage.events import Writes
from tendis_py.types.string import values as strings

_OPTIONS = {
    **EXPIRY,
    b"KEEPTTL": Option("expiry"),
    b"NX": Option("condition"),
    b"XX": Option("condition"),
}
_FIRST = 2
"""The position of the first key."""
_MOST = 2**31 - 1


def _msetex_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    after_keys = _FIRST + 2 * int(args[1])
    keeps = b"KEEPTTL" in (option.upper() for option in args[after_keys:])
    yield from writes.notes()
    for key in args[_FIRST:after_keys:2]:
        yield from set_and_expire(ctx, key, writes, expires=not keeps)


@command(
    "msetex",
    -4,
    group="string",
    since="8.4.0",
    flags="write denyoom",
    keys=Keys("OW update", first=_FIRST, count=1, step=2),
    complexity="O(N) where N is the number of keys to set.",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
    syntax=(
        "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | "
        "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"
    ),
    events=_msetex_events,
)
def msetex(ctx: Context, args: list[bytes]) -> Reply:
    """Atomically sets multiple string keys with a shared expiration in a single operation. Supports
    flexible argument parsing where condition and expiration flags can appear in any order.

    1: "All the keys were set"; 0: "No key was set (at least one key failed)" (msetex.json): with NX
    one of them exists, with XX one does not.
    """
    number = integer(args[1], 1, _MOST, MSETEX_NUMKEYS)
    end = _FIRST + 2 * number
    if end > len(args):
        raise ReplyError(MSETEX_PAIRS)
    chosen = options(args, end, _OPTIONS)
    expiry = chosen.get("expiry")
    deadline = expiry.deadline(ctx.db.now, "msetex") if isinstance(expiry, Expiry) else 0
    return int(
        strings.put_all_if(
            ctx.db,
            args[_FIRST:end:2],
            args[_FIRST + 1 : end : 2],
            exists=EXISTS[chosen.get("condition")],
            expire_at=deadline,
            keep_expiry=expiry == b"KEEPTTL",
        )
    )
