"""LOLWUT: a drawing, and the version.

Version 5 draws Georg Nees' Schotter as Redis does; 6 a skyline at night, in shades of grey for a
terminal, as Redis' is; 8, and what comes without a version, is a picture of our own. For Redis
other versions have none.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from tendis_py import REDIS_VERSION, __version__
from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Lane, command
from tendis_py.resp.replies import Reply, Verbatim
from tendis_py.storage.pacing import ROWS_BETWEEN_RESTS, Pace

_MOST_COLUMNS, _MOST_SQUARES, _MOST_LEVELS = 1000, 200, 100
_MOST_CHARACTERS = 50_000
"""Of a picture, which is lower than it is to be where it would have more."""
_WAVES = "▁▂▃▄▅▆▇"
_SHADES = "░▒▓█"


@command(
    "lolwut",
    -1,
    group="server",
    since="5.0.0",
    flags="readonly fast",
    complexity="",
    lane=Lane.SLOW,
    apart=True,
    syntax="[VERSION version]",
)
def lolwut(ctx: Context, args: list[bytes]) -> Reply:
    """Displays computer art and the Redis version

    Further arguments are how large the picture is to be, which matters only where a version is
    given.
    """
    version = 8
    words: list[bytes] = []
    if len(args) > 2 and args[1].lower() == b"version":
        version, words = integer(args[2]), args[3:]
    drawing = _DRAWINGS.get(version)
    picture = "" if drawing is None else drawing.draw(words, ctx.tx.pace)
    return Verbatim(f"{picture}Redis ver. {REDIS_VERSION}\n".encode())


@dataclass(frozen=True, slots=True)
class _Drawing:
    """``sizes``: what each argument is if it is missing, and at most."""

    make: Callable[..., str]
    sizes: tuple[tuple[int, int], ...]

    def draw(self, words: list[bytes], pace: Pace) -> str:
        given = [integer(word) for _, word in zip(self.sizes, words, strict=False)]
        usual = [size for size, _ in self.sizes[len(given) :]]
        bounds = zip([*given, *usual], self.sizes, strict=True)
        return self.make(pace, *(min(max(size, 1), most) for size, (_, most) in bounds))


# Version 5: squares in rows, the lower the more askew; in braille, 2 × 4 dots a character


class _Dots:
    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._cells = [0] * (-(-width // 2) * -(-height // 4))
        self._in_row = -(-width // 2)

    def _dot(self, x: int, y: int) -> None:
        if 0 <= x < self._width and 0 <= y < self._height:
            self._cells[y // 4 * self._in_row + x // 2] |= _BITS[x % 2][y % 4]

    def line(self, x: int, y: int, to_x: int, to_y: int) -> None:
        """Bresenham's."""
        across, down = abs(to_x - x), abs(to_y - y)
        step_x, step_y = (1 if x < to_x else -1), (1 if y < to_y else -1)
        error = across - down
        while True:
            self._dot(x, y)
            if (x, y) == (to_x, to_y):
                return
            twice = 2 * error
            if twice > -down:
                error -= down
                x += step_x
            if twice < across:
                error += across
                y += step_y

    def square(self, x: int, y: int, side: float, angle: float) -> None:
        radius = _rounded(side / 1.4142135623)
        turns = [math.pi / 4 + angle + quarter * math.pi / 2 for quarter in range(4)]
        corners = [
            (_rounded(math.sin(turn) * radius + x), _rounded(math.cos(turn) * radius + y))
            for turn in turns
        ]
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            self.line(*start, *end)

    def __str__(self) -> str:
        text = "".join(chr(_BRAILLE + bits) for bits in self._cells)
        starts = range(0, len(text), self._in_row)
        return "".join(f"{text[start : start + self._in_row]}\n" for start in starts)


_BRAILLE = 0x2800
_BITS = (1, 2, 4, 64), (8, 16, 32, 128)
"""Of the dots of a character: by column, from above."""


def _rounded(number: float) -> int:
    """As C does it: half away from zero."""
    return int(math.floor(abs(number) + 0.5) * (1 if number >= 0 else -1))


def _schotter(pace: Pace, columns: int, in_row: int, in_column: int) -> str:
    chance = random.Random()
    width = columns * 2
    padding = 2 if width > 4 else 0
    side = (width - padding * 2) / in_row
    most_height = _MOST_CHARACTERS // columns * 4
    in_column = max(1, min(in_column, int((most_height - padding * 2) / side)))
    dots = _Dots(width, int(side * in_column + padding * 2))
    for row in range(in_column):
        for number in range(in_row):
            x, y = (int(at * side + side / 2 + padding) for at in (number, row))
            angle = 0.0
            if row > 1:
                most = row / in_column
                angle, right, down = (chance.uniform(-most, most) for _ in range(3))
                x, y = int(x + right * side / 3), int(y + down * side / 3)
            dots.square(x, y, side, angle)
            pace.rest(ROWS_BETWEEN_RESTS)
    return f"{dots}\nGeorg Nees - schotter, plotter on paper, 1968. "


# Version 6: blocks of flats, the nearer ones darker, with lights on in some windows

_GREYS = ("0;97;107", "0;37;47", "0;90;100", "0;30;40")
_BEHIND, _FAR, _NEAR, _FRONT = range(4)


def _skyline(pace: Pace, columns: int, rows: int) -> str:
    chance = random.Random()
    rows = max(1, min(rows, _MOST_CHARACTERS // 4 // columns))
    canvas = [[_BEHIND] * columns for _ in range(rows)]
    for shade in (_FAR, _NEAR, _FRONT):
        at = chance.randint(-10, 0)
        while at < columns:
            wide, high = chance.randint(8, 21), chance.randint(3, max(3, rows * (5 - shade) // 5))
            for y in range(max(0, rows - high), rows):
                for x in range(max(0, at), min(at + wide, columns)):
                    is_window = (y - rows + high) % 2 and (x - at) % 4 in (1, 2)
                    lit = is_window and shade == _FRONT and (x - at) // 4 * 7 % 3 == y % 3
                    canvas[y][x] = _FAR if lit else shade
            pace.rest(ROWS_BETWEEN_RESTS)
            at += wide + chance.randint(-3, 12)
    lines = ["".join(f"\x1b[{_GREYS[grey]}m \x1b[0m" for grey in row) + "\n" for row in canvas]
    return "".join(lines) + "A skyline, from a window that is dark itself. "


# Our own


def _sediment(pace: Pace, columns: int, levels: int) -> str:
    """A log-structured merge tree at rest: the memtable, and under it the files of each level."""
    chance = random.Random()
    top = max(1, columns // (levels + 1))
    lines = ["".join(chance.choices(_WAVES, k=top)).center(columns)]
    for level in range(1, levels + 1):
        width = max(1, columns * (level + 1) // (levels + 1))
        row = ""
        while len(row) < width:
            row += chance.choice(_SHADES) * chance.randint(2, 3 + 2 * level) + " "
        lines.append(row[:width].center(columns))
    picture = "\n".join(line.rstrip() for line in lines)
    caption = "Sediment: what is written sinks, level by level, and gets wider."
    return f"{picture}\n\n{caption} tendis-py ver. {__version__}, "


_DRAWINGS = {
    5: _Drawing(_schotter, ((66, _MOST_COLUMNS), (8, _MOST_SQUARES), (12, _MOST_SQUARES))),
    6: _Drawing(_skyline, ((80, _MOST_COLUMNS), (20, _MOST_COLUMNS))),
    8: _Drawing(_sediment, ((66, _MOST_COLUMNS), (6, _MOST_LEVELS))),
}
