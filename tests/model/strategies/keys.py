"""Commands on keys of any type."""

from __future__ import annotations

from tests.model.strategies.common import (
    Family,
    command,
    database,
    key,
    keys,
    one_of,
    options,
    pattern,
    together,
)

FAMILY = Family(
    {
        "del": command("DEL", keys),
        "unlink": command("UNLINK", keys),
        "exists": command("EXISTS", keys),
        "touch": command("TOUCH", keys),
        "type": command("TYPE", key),
        "rename": command("RENAME", key, key),
        "renamenx": command("RENAMENX", key, key),
        "copy": command("COPY", key, key, options(b"REPLACE", b"BAD", together(b"DB", database))),
        "move": command("MOVE", key, database),
        "keys": command("KEYS", pattern),
        "randomkey": command("RANDOMKEY"),
        "object": command("OBJECT", one_of("ENCODING REFCOUNT FREQ encoding BAD"), key),
        "scan": command(
            "SCAN",
            one_of("0 0 0 x -1"),
            together(b"COUNT", one_of("1000 1000 0 x -1")),
            options(
                b"BAD",
                together(b"MATCH", pattern),
                together(b"TYPE", one_of("string list STRING nothing")),
            ),
        ),
    },
    {"keys": "%", "scan": "%", "randomkey": "~"},
)
