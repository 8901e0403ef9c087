"""The forms of DEBUG that show how the value of a key is kept: as Redis would keep it."""

from __future__ import annotations

import logging

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.debug.forms import form, one_key
from tendis_py.commands.object import encoding
from tendis_py.errors import (
    NO_HASH_TABLE,
    NO_SUCH_DATABASE,
    NO_SUCH_KEY,
    NOT_LISTPACK,
    NOT_QUICKLIST,
    NOT_SDS,
    ReplyError,
)
from tendis_py.rdb import payload
from tendis_py.resp.replies import Reply, Verbatim
from tendis_py.storage.codec import SORTEDINT, STRING, CollectionRow, Row
from tendis_py.types.list.rows import Span
from tendis_py.types.string import values as strings

log = logging.getLogger(__name__)

_LRU_MASK = (1 << 24) - 1


def _row(ctx: Context, key: bytes) -> Row:
    row = ctx.db.peek(key)
    if row is None:
        raise ReplyError(NO_SUCH_KEY)
    return row


@form(
    "OBJECT <key>",
    claims=one_key,
    help="Show low level info about `key` and associated value.",
)
def debug_object(ctx: Context, args: list[bytes]) -> Reply:
    """The address is made up."""
    key = args[2]
    row = _row(ctx, key)
    kept = encoding(key, row)
    used = ctx.db.last_use(key)
    shown = (
        f"Value at:{id(row):#x} refcount:1 encoding:{kept} serializedlength:{_length(ctx, row)} "
        f"lru:{used & _LRU_MASK} "
        f"lru_seconds_idle:{max(ctx.db.now // 1000 - used, 0)}"
    )
    return shown + (_nodes(ctx, row) if kept == "quicklist" else "")


def _length(ctx: Context, row: Row) -> int:
    """The bytes that DUMP needs for the value alone; 0 for what Redis has no type for."""
    written = () if row.type == SORTEDINT else payload.write(ctx.db, row)
    return max(sum(map(len, written)) - 1, 0)


_NODE_BYTES = (4096, 8192, 16384, 32768, 65536)
"""What ``list-max-listpack-size`` -1 to -5 let a node take."""


def _nodes(ctx: Context, row: Row) -> str:
    """About what Redis' quicklist would be."""
    assert isinstance(row, CollectionRow)
    assert isinstance(row.value, Span)
    limit = ctx.db.limits.list_max_listpack_size
    size = row.value.size or _length(ctx, row)
    [depth] = ctx.services.config.get([b"list-compress-depth"]).values()
    compressed = int(depth != b"0")
    full, most = (row.count, limit) if limit > 0 else (size, _NODE_BYTES[-limit - 1])
    nodes = max(1, -(-full // most))
    return (
        f" ql_nodes:{nodes} ql_avg_node:{row.count / nodes:.2f} ql_listpack_max:{limit} "
        f"ql_compressed:{compressed} ql_uncompressed_size:{size}"
    )


@form(
    "SDSLEN <key>",
    claims=one_key,
    help="Show low level SDS string info representing `key` and value.",
)
def debug_sdslen(ctx: Context, args: list[bytes]) -> Reply:
    key = args[2]
    row = _row(ctx, key)
    if row.type != STRING or encoding(key, row) == "int":
        raise ReplyError(NOT_SDS)
    length = strings.length(ctx.db, key)
    return (
        f"key_sds_len:{len(key)}, key_sds_avail:0, key_zmalloc: {len(key)}, "
        f"val_sds_len:{length}, val_sds_avail:0, val_zmalloc: {length}"
    )


@form(
    "LISTPACK <key>",
    claims=one_key,
    help="Write to the server log how many elements the listpack of <key> has.",
)
def debug_listpack(ctx: Context, args: list[bytes]) -> Reply:
    """Redis prints it on its standard output, where our log goes, too, unless it has a file."""
    _log_elements(ctx, args[2], ("listpack", "listpackex"), NOT_LISTPACK)
    return "Listpack structure printed on stdout"


@form(
    "QUICKLIST <key> [<0|1>]",
    claims=one_key,
    help="Write to the server log how many elements the quicklist of <key> has.",
)
def debug_quicklist(ctx: Context, args: list[bytes]) -> Reply:
    _log_elements(ctx, args[2], ("quicklist",), NOT_QUICKLIST)
    return "Quicklist structure printed on stdout"


def _log_elements(ctx: Context, key: bytes, wanted: tuple[str, ...], otherwise: str) -> None:
    row = _row(ctx, key)
    kept = encoding(key, row)
    if kept not in wanted:
        raise ReplyError(otherwise)
    assert isinstance(row, CollectionRow)
    log.warning("DEBUG: %s of %d elements", kept, row.count)


@form(
    "HTSTATS <dbid> [full]",
    help="Return hash table statistics of the specified Redis database: of the\n"
    "tables that Redis would have.",
)
def debug_htstats(ctx: Context, args: list[bytes]) -> Reply:
    index = integer(args[2])
    if not 0 <= index < ctx.services.config.databases:
        raise ReplyError(NO_SUCH_DATABASE)
    counts = ctx.database(index).counts()
    tables = ("Dictionary", counts.keys), ("Expires", counts.expires)
    shown = "".join(f"[{name} HT]\n{_table(number)}" for name, number in tables)
    return Verbatim(shown.encode())


@form(
    "HTSTATS-KEY <key> [full]",
    claims=one_key,
    help="Like HTSTATS but for the hash table stored at <key>'s value.",
)
def debug_htstats_key(ctx: Context, args: list[bytes]) -> Reply:
    row = _row(ctx, args[2])
    if encoding(args[2], row) not in ("hashtable", "skiplist"):
        raise ReplyError(NO_HASH_TABLE)
    assert isinstance(row, CollectionRow)
    return Verbatim(_table(row.count).encode())


def _table(elements: int) -> str:
    if not elements:
        return ""
    size = max(4, 1 << (elements - 1).bit_length())
    return (
        "Hash table 0 stats (main hash table):\n"
        f" table size: {size}\n number of elements: {elements}\n"
    )
