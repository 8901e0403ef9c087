"""The forms of DEBUG that have the server behave in some way, or refuse to."""

from __future__ import annotations

import logging
import random
import re
import time
from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.debug.forms import ANY_NUMBER, form
from tendis_py.config import parse_memory
from tendis_py.errors import (
    CLUSTER_MODE_ONLY,
    NO_CLIENT_EVICTION,
    NO_SCRIPT,
    NO_SECRET,
    PACKED_THRESHOLD,
    ReplyError,
    refused_debugging,
    wrong_subcommand,
)
from tendis_py.glob import compile_glob
from tendis_py.log import NOTICE
from tendis_py.resp.replies import OK, Reply
from tendis_py.storage.pacing import ROWS_BETWEEN_RESTS

log = logging.getLogger(__name__)

_NUMBER = re.compile(rb"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)
_LONGEST_SLEEP = 2.0**31


def _number_at_head(argument: bytes) -> float:
    """What C's strtod makes of it: the number it begins with, or 0."""
    match = _NUMBER.match(argument)
    return float(match[1]) if match else 0.0


@form(
    "SLEEP <seconds>",
    help="Keep the thread that executes slow commands busy for <seconds>.\nDecimals allowed.",
)
def debug_sleep(ctx: Context, args: list[bytes]) -> Reply:
    time.sleep(min(max(0.0, _number_at_head(args[2])), _LONGEST_SLEEP))
    return OK


@form(
    "SET-ACTIVE-EXPIRE <0|1>",
    help="Setting it to 0 disables expiring keys (and hash-fields) in background\n"
    "when they are not accessed (otherwise the Redis behavior). Setting it\n"
    "to 1 reenables back the default.",
)
def debug_set_active_expire(ctx: Context, args: list[bytes]) -> Reply:
    ctx.services.active_expiry = bool(_number_at_head(args[2]))
    return OK


@form(
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    help="Enables or disables checksum checks for RESTORE's payload.",
)
def debug_set_skip_checksum_validation(ctx: Context, args: list[bytes]) -> Reply:
    ctx.services.takes_any_checksum = bool(_number_at_head(args[2]))
    return OK


@form(
    "SCRIPT <LIST|<sha>>",
    help="Write SHA and content of all scripts or of a specific script with its SHA\n"
    "to the server log.",
)
def debug_script(ctx: Context, args: list[bytes]) -> Reply:
    scripts = ctx.services.scripts
    if args[2].lower() == b"list":
        wanted = scripts.all()
    elif len(args[2]) != _SHA_LENGTH:
        raise wrong_subcommand("debug", args[1])
    else:
        found = scripts.find(args[2])
        if found is None:
            raise ReplyError(NO_SCRIPT)
        wanted = [found]
    for script in wanted:
        log.warning("SCRIPT SHA: %s\n%s", script.sha.decode(), _shown(script.body))
    return OK


_SHA_LENGTH = 40


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


@form("LOG <message>", help="Write <message> to the server log.")
def debug_log(ctx: Context, args: list[bytes]) -> Reply:
    log.warning("DEBUG LOG: %s", _shown(args[2]))
    return OK


@form("CHANGE-REPL-ID", help="Change the replication IDs of the instance.")
def debug_change_repl_id(ctx: Context, args: list[bytes]) -> Reply:
    log.log(NOTICE, "Changing replication IDs after receiving DEBUG change-repl-id")
    ctx.services.change_replication_id()
    return OK


@form(
    "CONFIG-REWRITE-FORCE-ALL",
    help="Like CONFIG REWRITE but writes all configuration options, including\n"
    "keywords not listed in original configuration file or default values.",
)
def debug_config_rewrite_force_all(ctx: Context, args: list[bytes]) -> Reply:
    ctx.services.config.rewrite(everything=True)
    return OK


@form(
    "STRINGMATCH-TEST",
    help="Run a fuzz tester against the function that matches patterns.",
)
def debug_stringmatch_test(ctx: Context, args: list[bytes]) -> Reply:
    chance = random.Random()
    for _ in range(_PATTERNS):
        pattern = bytes(chance.choices(_PATTERN_BYTES, k=chance.randrange(_LONGEST)))
        matches = compile_glob(pattern)
        matches(bytes(chance.choices(_TEXT_BYTES, k=chance.randrange(_LONGEST))))
        ctx.tx.pace.rest(ROWS_BETWEEN_RESTS)
    return "Apparently Redis did not crash: test passed"


_PATTERNS, _LONGEST = 1000, 32
_TEXT_BYTES = b"abcdef-^]"
_PATTERN_BYTES = _TEXT_BYTES + b"[*?\\"


@form(
    "QUICKLIST-PACKED-THRESHOLD <size>",
    help="Checked, and without effect: there are no quicklist nodes here.",
)
def debug_quicklist_packed_threshold(ctx: Context, args: list[bytes]) -> Reply:
    try:
        size = parse_memory(args[2].decode("latin-1"))
    except ValueError:
        raise ReplyError(PACKED_THRESHOLD) from None
    if size >= 1 << 32:
        raise ReplyError(PACKED_THRESHOLD)
    return OK


@form(
    "REPLYBUFFER <setting> <value>",
    help="PEAK-RESET-TIME <NEVER||RESET|time> and RESIZING <0|1> are checked, and\n"
    "without effect: replies have no buffers of a size here.",
)
def debug_replybuffer(ctx: Context, args: list[bytes]) -> Reply:
    setting, value = args[2].lower(), args[3].lower()
    if setting == b"peak-reset-time":
        if value not in (b"never", b"reset"):
            integer(value)
    elif setting != b"resizing":
        raise wrong_subcommand("debug", args[1])
    return OK


@form("DROP-CLUSTER-PACKET-FILTER <packet-type>", help="Checked, and without effect.")
def debug_drop_cluster_packet_filter(ctx: Context, args: list[bytes]) -> Reply:
    integer(args[2])
    return OK


@form(
    "REPL-PAUSE <clear|after-fork|before-rdb-channel|on-streaming-repl-buf>",
    help="Checked, and without effect: there are no replicas.",
)
def debug_repl_pause(ctx: Context, args: list[bytes]) -> Reply:
    if args[2].lower() not in _PAUSES:
        raise wrong_subcommand("debug", args[1])
    return OK


_PAUSES = (b"clear", b"after-fork", b"before-rdb-channel", b"on-streaming-repl-buf")


@form("MARK-INTERNAL-CLIENT [UNMARK]", help="Without effect: there are no internal commands.")
def debug_mark_internal_client(ctx: Context, args: list[bytes]) -> Reply:
    if args[2:] and args[2].lower() != b"unmark":
        raise wrong_subcommand("debug", args[1])
    return OK


def _without_effect(ctx: Context, args: list[bytes]) -> Reply:
    return OK


for _usage, _most, _reason in (
    ("AOF-FLUSH-SLEEP <microsec>", 0, "the log is RocksDB's."),
    ("DICT-RESIZING <0|1>", 0, "there are no hash tables here."),
    ("KEYSIZES-HIST-ASSERT <0|1>", 0, "the histogram is counted when it is asked for."),
    ("PAUSE-CRON <0|1>", 0, "there is no such job here."),
    ("REPLICATE <string> [...]", ANY_NUMBER, "there are no replicas."),
):
    form(_usage, most=_most, help=f"Without effect: {_reason}")(_without_effect)


@form("CLIENT-EVICTION", help="")
def debug_client_eviction(ctx: Context, args: list[bytes]) -> Reply:
    raise ReplyError(NO_CLIENT_EVICTION)


@form("INTERNAL_SECRET", help="")
def debug_internal_secret(ctx: Context, args: list[bytes]) -> Reply:
    raise ReplyError(NO_SECRET)


@form("CLUSTERLINK KILL <to|from|all> <node-id>", help="")
def debug_clusterlink(ctx: Context, args: list[bytes]) -> Reply:
    if args[2].lower() != b"kill":
        raise wrong_subcommand("debug", args[1])
    raise ReplyError(CLUSTER_MODE_ONLY)


def _refused(name: str, ctx: Context, args: list[bytes]) -> Reply:
    raise refused_debugging(name)


for _usage in (
    "ASSERT",
    "CRASH-AND-RECOVER [<milliseconds>]",
    "LEAK <string>",
    "OOM",
    "PANIC",
    "RESTART [<milliseconds>]",
    "SEGFAULT",
    "MALLCTL <key> [<val>]",
    "MALLCTL-STR <key> [<val>]",
    "STRUCTSIZE",
):
    form(_usage, most=ANY_NUMBER, help="")(partial(_refused, _usage.split()[0]))
