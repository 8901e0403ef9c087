"""LCS: what two strings have in common."""

from __future__ import annotations

from tendis_py.commands.arguments import Option, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, Lane, command
from tendis_py.errors import LCS_AMBIGUOUS, LCS_MEMORY, LCS_NOT_STRINGS, ReplyError
from tendis_py.resp.replies import Reply
from tendis_py.storage.codec import STRING
from tendis_py.types.string import fragments, lcs

_LCS_OPTIONS = {
    b"LEN": Option("len"),
    b"IDX": Option("idx"),
    b"MINMATCHLEN": Option("minmatchlen", integer),
    b"WITHMATCHLEN": Option("withmatchlen"),
}


@command(
    "lcs",
    -3,
    group="string",
    since="7.0.0",
    flags="readonly",
    keys=Keys("RO access", last=1),
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
    lane=Lane.SLOW,
    syntax="key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
)
def lcs_(ctx: Context, args: list[bytes]) -> Reply:
    """Finds the longest common substring."""
    rows = [ctx.db.find(key) for key in args[1:3]]
    if any(row is not None and row.type != STRING for row in rows):
        raise ReplyError(LCS_NOT_STRINGS)
    first, second = (b"" if row is None else fragments.whole(ctx.db, row) for row in rows)
    chosen = options(args, 3, _LCS_OPTIONS)
    if "idx" in chosen and "len" in chosen:
        raise ReplyError(LCS_AMBIGUOUS)
    if lcs.table_bytes(first, second) > ctx.services.config.proto_max_bulk_len:
        raise ReplyError(LCS_MEMORY)
    if "len" in chosen:
        return lcs.length(first, second)
    if "idx" not in chosen:
        return lcs.subsequence(first, second)
    return _lcs_matches(
        lcs.matches(first, second), chosen.get("minmatchlen", 0), "withmatchlen" in chosen
    )


def _lcs_matches(found: list[lcs.Match], least: int, with_size: bool) -> dict[bytes, Reply]:
    return {
        b"matches": [
            [
                [match.a, match.a + match.size - 1],
                [match.b, match.b + match.size - 1],
                *([match.size] if with_size else ()),
            ]
            for match in found
            if match.size >= least
        ],
        b"len": sum(match.size for match in found),
    }
