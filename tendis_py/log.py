"""Logging: one readable line an event, to standard output or ``logfile``, as redis-server writes.

``pid:role time level message``, the level as Redis' single character.
"""

from __future__ import annotations

import logging
import sys

from tendis_py.config import Config

VERBOSE = 15
NOTICE = 25

_LEVELS = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": NOTICE,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL + 1,
}
_MARKS = {logging.DEBUG: ".", logging.INFO: "-", NOTICE: "*"}

logging.addLevelName(NOTICE, "NOTICE")


class _Formatter(logging.Formatter):
    default_time_format = "%d %b %Y %H:%M:%S"
    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        record.mark = _MARKS.get(record.levelno, "#")
        return super().format(record)


def configure(config: Config) -> None:
    """Send the package's log where ``logfile`` says, from ``loglevel`` on. OSError when the file
    can't be opened. What it has no room for is dropped."""
    logging.raiseExceptions = False
    handler: logging.Handler
    if config.logfile:
        handler = logging.FileHandler(config.logfile)
    else:
        handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter("%(process)d:M %(asctime)s %(mark)s %(message)s"))
    logger = logging.getLogger("tendis_py")
    logger.handlers[:] = [handler]
    logger.propagate = False
    set_level(config.loglevel)


def set_level(name: str) -> None:
    """Log from the Redis level ``name`` (debug … nothing) on."""
    logging.getLogger("tendis_py").setLevel(_LEVELS[name])
