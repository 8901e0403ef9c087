"""Commands on deadlines."""

from __future__ import annotations

from tests.model.strategies.common import (
    NEAR,
    Family,
    apart,
    command,
    key,
    milliseconds,
    options,
    seconds,
    unix_milliseconds,
    unix_seconds,
)

_conditions = options(b"NX", b"XX", b"GT", b"LT", b"BAD")
_conditions_but_gt = options(b"NX", b"XX", b"LT", b"BAD")

FAMILY = Family(
    {
        "expire": command("EXPIRE", key, seconds, _conditions_but_gt)
        | command("EXPIRE", key, apart, _conditions),
        "pexpire": command("PEXPIRE", key, milliseconds, _conditions_but_gt)
        | command("PEXPIRE", key, apart, _conditions),
        "expireat": command("EXPIREAT", key, unix_seconds, _conditions),
        "pexpireat": command("PEXPIREAT", key, unix_milliseconds, _conditions),
        "persist": command("PERSIST", key),
        "ttl": command("TTL", key),
        "pttl": command("PTTL", key),
        "expiretime": command("EXPIRETIME", key),
        "pexpiretime": command("PEXPIRETIME", key),
    },
    {"ttl": NEAR, "pttl": NEAR, "expiretime": NEAR, "pexpiretime": NEAR},
)
