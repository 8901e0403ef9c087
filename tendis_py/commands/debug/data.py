"""DEBUG DIGEST and DIGEST-VALUE: what two servers with equal data say alike."""

from __future__ import annotations

from tendis_py.commands.context import Context
from tendis_py.commands.debug.forms import ANY_NUMBER, form
from tendis_py.numbers import shortest_double
from tendis_py.resp.replies import Reply
from tendis_py.types import digest


@form("DIGEST", help="Output a hex signature representing the current DB content.")
def debug_digest(ctx: Context, args: list[bytes]) -> Reply:
    databases = map(ctx.database, range(ctx.services.config.databases))
    with ctx.services.keyspace.engine.kept_open:
        return digest.text(digest.of_everything(databases, shortest_double))


@form(
    "DIGEST-VALUE [<key> ...]",
    most=ANY_NUMBER,
    claims=lambda args: args[2:],
    help="Output a hex signature of the values of all the specified keys.",
)
def debug_digest_value(ctx: Context, args: list[bytes]) -> Reply:
    return [digest.text(_of(ctx, key)) for key in args[2:]]


def _of(ctx: Context, key: bytes) -> int:
    row = ctx.db.peek(key)
    return 0 if row is None else digest.of_value(ctx.db, key, row, shortest_double)
