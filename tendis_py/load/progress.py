"""The progress bar: one line on a terminal's standard error, ten times a second.

Made by hand, for what draws bars takes milliseconds at a time (rich 2 ms), in which the generator
would not see replies.
"""

from __future__ import annotations

import sys

import trio

from tendis_py.load.generator import Generator

_PERIOD = 0.1
_WIDTH = 30
_CLEAR = "\r\x1b[K"


async def show_progress(generator: Generator, title: str) -> None:
    """Until cancelled; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        return
    try:
        while True:
            sys.stderr.write(_CLEAR + line_of(generator, title))
            sys.stderr.flush()
            await trio.sleep(_PERIOD)
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


def line_of(generator: Generator, title: str) -> str:
    """What the bar says now."""
    if not generator.measuring:
        return f"{title}: warming up"
    done = generator.progress()
    bar = "#" * round(done * _WIDTH)
    tally = generator.tally
    line = f"{title} [{bar:.<{_WIDTH}}] {done:4.0%}  {tally.answered:,} requests"
    if tally.course:
        last = tally.course[-1]
        line += f", {last.requests / last.seconds:,.0f}/s, p99 {last.p99_us / 1000:.2f} ms"
    if tally.failed:
        line += f", {tally.failed:,} errors"
    return line
