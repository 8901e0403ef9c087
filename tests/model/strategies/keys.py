"""Commands on keys of any type."""

from __future__ import annotations

from hypothesis import strategies as st

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
from tests.support.payloads import footed

_PAYLOADS = [
    footed(content)
    for content in (
        b"\0\x05hello",
        b"\0\xc0\x05",
        b"\x01\x03\x01a\x01b\xc0\x05",
        b"\x02\x02\x01a\xc0\x05",
        b"\x02\x02\xc0\x06\xc0\x05",
        b"\x02\x02\x01a\x01a",
        b"\x03\x02\x01a\x031.5\x01b\xfe",
        b"\x04\x02\x01a\x01v\x01b\xc0\x05",
        b"\x0f\0\0\x05\x01\0",
        b"\0\x20cut",
    )
] + [b"no payload"]

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
        "restore": command(
            "RESTORE",
            key,
            one_of("0 0 0 100000 -1 x"),
            st.sampled_from(_PAYLOADS),
            options(
                b"REPLACE",
                b"REPLACE",
                b"ABSTTL",
                b"BAD",
                together(b"IDLETIME", one_of("0 100 -1")),
                together(b"FREQ", one_of("0 255 256")),
            ),
        ),
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
