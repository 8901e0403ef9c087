"""LOLWUT: a drawing, and the version."""

from __future__ import annotations

import random

from tendis_py import __version__
from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Lane, command
from tendis_py.resp.replies import Reply, Verbatim

_COLUMNS, _LEVELS = 66, 6
_MOST_COLUMNS, _MOST_LEVELS = 500, 100
_WAVES = "▁▂▃▄▅▆▇"
_SHADES = "░▒▓█"


@command(
    "lolwut",
    -1,
    group="server",
    since="5.0.0",
    flags="readonly fast",
    complexity="",
    lane=Lane.CONTROL,
    syntax="[VERSION version]",
)
def lolwut(ctx: Context, args: list[bytes]) -> Reply:
    """Displays computer art and the Redis version

    Every version draws the same picture of our own, another one each time; as in Redis, further
    arguments are looked at only where a version is given.
    """
    versioned = len(args) > 2 and args[1].lower() == b"version"
    size = [integer(argument) for argument in args[2:]][1:3] if versioned else []
    columns, levels = size + [_COLUMNS, _LEVELS][len(size) :]
    picture = _sediment(
        min(max(columns, 1), _MOST_COLUMNS), min(max(levels, 1), _MOST_LEVELS), random.Random()
    )
    caption = "Sediment: what is written sinks, level by level, and gets wider."
    return Verbatim(f"{picture}\n\n{caption} tendis-py ver. {__version__}\n".encode())


def _sediment(columns: int, levels: int, chance: random.Random) -> str:
    """A log-structured merge tree at rest: the memtable, and under it the files of each level."""
    top = max(1, columns // (levels + 1))
    lines = ["".join(chance.choices(_WAVES, k=top)).center(columns)]
    for level in range(1, levels + 1):
        width = max(1, columns * (level + 1) // (levels + 1))
        row = ""
        while len(row) < width:
            row += chance.choice(_SHADES) * chance.randint(2, 3 + 2 * level) + " "
        lines.append(row[:width].center(columns))
    return "\n".join(line.rstrip() for line in lines)
