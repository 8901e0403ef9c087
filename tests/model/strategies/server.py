"""Databases and connections, as far as they change what other commands see."""

from __future__ import annotations

from tests.model.strategies.common import Family, command, database, one_of, rarely, value

FAMILY = Family(
    {
        "select": rarely(command("SELECT", database)),
        "swapdb": rarely(command("SWAPDB", database, database)),
        "flushdb": rarely(command("FLUSHDB", one_of("SYNC ASYNC BAD"))),
        "flushall": rarely(command("FLUSHALL")),
        "echo": command("ECHO", value),
        "ping": command("PING", value),
    }
)
