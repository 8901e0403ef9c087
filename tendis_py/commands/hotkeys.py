"""HOTKEYS: which keys take the most time and bytes, found out while clients go on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import command, container
from tendis_py.errors import (
    HOTKEYS_ACTIVE,
    HOTKEYS_COUNT,
    HOTKEYS_DURATION,
    HOTKEYS_METRICS,
    HOTKEYS_METRICS_COUNT,
    HOTKEYS_METRICS_MISMATCH,
    HOTKEYS_NO_METRICS,
    HOTKEYS_SAMPLE,
    HOTKEYS_SLOTS,
    HOTKEYS_STOP_FIRST,
    ReplyError,
    hotkeys_metric_again,
    syntax_error,
)
from tendis_py.resp.replies import OK, Reply

METRICS = ("CPU", "NET")
_SLOTS = 16384
_OPTIONS = {
    b"COUNT": ("count", 64, HOTKEYS_COUNT),
    b"DURATION": ("seconds", 1_000_000, HOTKEYS_DURATION),
    b"SAMPLE": ("ratio", 2**31 - 1, HOTKEYS_SAMPLE),
}

container(
    "hotkeys",
    group="server",
    since="8.6.0",
    summary="A container for hotkeys tracking commands.",
)

_hotkeys = partial(command, group="server", since="8.6.0", flags="admin noscript")


@_hotkeys(
    "hotkeys|start",
    -2,
    syntax=(
        "<METRICS count [CPU] [NET]> [COUNT k] [DURATION seconds] [SAMPLE ratio] "
        "[SLOTS count slot [slot ...]]"
    ),
)
def hotkeys_start(ctx: Context, args: list[bytes]) -> Reply:
    """Starts hotkeys tracking."""
    hotkeys = ctx.services.hotkeys
    if hotkeys.is_on():
        raise ReplyError(HOTKEYS_ACTIVE)
    wanted, rest = _metrics(args)
    options = {"count": 10, "seconds": 0, "ratio": 1}
    while rest:
        if len(rest) == 1:
            raise syntax_error()
        word = rest[0].upper()
        if word == b"SLOTS":
            raise ReplyError(HOTKEYS_SLOTS)
        if word not in _OPTIONS:
            raise syntax_error()
        name, most, error = _OPTIONS[word]
        options[name] = integer(rest[1], 1, most, error)
        rest = rest[2:]
    if not hotkeys.start(cpu="CPU" in wanted, net="NET" in wanted, **options):
        raise ReplyError(HOTKEYS_ACTIVE)
    return OK


def _metrics(args: list[bytes]) -> tuple[set[str], list[bytes]]:
    """The metrics that are wanted, and the arguments that follow. As in Redis, a word that is none
    counts as one, for a later version may know it."""
    if len(args) < 4 or args[2].upper() != b"METRICS":
        raise ReplyError(HOTKEYS_METRICS)
    count = integer(args[3], 1, len(METRICS), HOTKEYS_METRICS_COUNT)
    words = args[4 : 4 + count]
    wanted: set[str] = set()
    for word in words:
        name = word.upper().decode("latin-1")
        if name in wanted:
            raise hotkeys_metric_again(name)
        if name in METRICS:
            wanted.add(name)
    if len(words) < count:
        raise ReplyError(HOTKEYS_METRICS_MISMATCH)
    if not wanted:
        raise ReplyError(HOTKEYS_NO_METRICS)
    return wanted, args[4 + count :]


@_hotkeys("hotkeys|stop", 2)
def hotkeys_stop(ctx: Context, args: list[bytes]) -> Reply:
    """Stops hotkeys tracking."""
    return OK if ctx.services.hotkeys.stop() else None


@_hotkeys("hotkeys|reset", 2)
def hotkeys_reset(ctx: Context, args: list[bytes]) -> Reply:
    """Release the resources used for hotkey tracking."""
    if not ctx.services.hotkeys.reset():
        raise ReplyError(HOTKEYS_STOP_FIRST)
    return OK


@_hotkeys("hotkeys|get", 2, complexity="O(K) where K is the number of hotkeys returned.")
def hotkeys_get(ctx: Context, args: list[bytes]) -> Reply:
    """Returns lists of top K hotkeys depending on metrics chosen in HOTKEYS START command.

    With a sample ratio, the figures of all commands are estimated from those of the sample.
    """
    found = ctx.services.hotkeys.report()
    if found is None:
        return None
    reply: dict[bytes, Reply] = {
        b"tracking-active": int(found.active),
        b"sample-ratio": found.ratio,
        b"selected-slots": [[0, _SLOTS - 1]],
        b"all-commands-all-slots-us": found.execute_ns * found.ratio // 1000,
        b"net-bytes-all-commands-all-slots": found.net_bytes * found.ratio,
        b"collection-start-time-unix-ms": found.start_ms,
        b"collection-duration-ms": found.duration_ms,
    }
    if found.by_cpu is not None:
        reply[b"total-cpu-time-user-ms"] = found.user_ms
        reply[b"total-cpu-time-sys-ms"] = found.system_ms
    if found.by_net is not None:
        reply[b"total-net-bytes"] = found.net_bytes
    if found.by_cpu is not None:
        reply[b"by-cpu-time-us"] = _flat([(key, ns // 1000) for key, ns in found.by_cpu])
    if found.by_net is not None:
        reply[b"by-net-bytes"] = _flat(found.by_net)
    return [reply]


def _flat(pairs: Sequence[tuple[bytes, int]]) -> list[Reply]:
    return [item for key, weight in pairs if weight for item in (key, weight)]


@command("hotkeys|help", 2, group="server", since="8.6.1", flags="loading stale")
def hotkeys_help(ctx: Context, args: list[bytes]) -> Reply:
    """Return helpful text about HOTKEYS command parameters."""
    return help_lines(
        "HOTKEYS",
        (
            "START <METRICS count [CPU] [NET]> [COUNT k] [DURATION duration] [SAMPLE ratio] "
            "[SLOTS count slot...]",
            "Find out which keys take the most, from now on.\n"
            "* METRICS count [CPU] [NET]\n"
            "    How many metrics, and which: CPU is the time in commands, NET the bytes of\n"
            "    requests and replies.\n"
            "* COUNT k\n"
            "    How many keys are reported of each. Default: 10\n"
            "* DURATION duration\n"
            "    Stop after so many seconds. Default: 0, not before HOTKEYS STOP\n"
            "* SAMPLE ratio\n"
            "    Look at one batch of requests of so many only. Default: 1, at all\n"
            "* SLOTS count slot...\n"
            "    For clusters only.",
        ),
        ("STOP", "Stop. What was found stays."),
        ("GET", "Return what was found."),
        ("RESET", "Forget what was found. Only once it was stopped."),
    )
