"""Libraries of functions as FUNCTION DUMP has them: the code of each behind a type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tendis_py.errors import (
    BAD_PAYLOAD,
    FUNCTIONS_ONLY,
    FUNCTIONS_PAYLOAD,
    FUNCTIONS_PRE_GA,
    LIBRARY_TOO_LONG,
    ReplyError,
)
from tendis_py.pieces import Text
from tendis_py.rdb import sink
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.payload import FOOT_SIZE, footed, is_sound
from tendis_py.rdb.source import Source
from tendis_py.storage.libraries import LONGEST_CODE
from tendis_py.storage.pacing import Pace

_FUNCTION = 245
_FUNCTION_PRE_GA = 246
"""Of the release candidates of Redis 7.0."""


def dump_functions(codes: Iterable[bytes], pace: Pace) -> Text:
    """The payload of FUNCTION DUMP."""
    number = bytes([_FUNCTION])
    return footed((part for code in codes for part in (number, sink.string(code))), pace)


def codes_in(payload: bytes, pace: Pace) -> Iterator[bytes]:
    """The code of each library of a payload. ReplyError, when it is met, for what is none; as in
    Redis, a string that is said to be longer than there is room may reach into the checksum."""
    if not is_sound(payload, pace):
        raise ReplyError(BAD_PAYLOAD)
    source = Source((payload,), len(payload))
    while source.left > FOOT_SIZE:
        kind = source.byte()
        if kind == _FUNCTION_PRE_GA:
            raise ReplyError(FUNCTIONS_PRE_GA)
        if kind != _FUNCTION:
            raise ReplyError(FUNCTIONS_ONLY)
        try:
            size, blocks = source.text()
            if size > LONGEST_CODE:
                raise ReplyError(LIBRARY_TOO_LONG)
            code = b"".join(blocks)
        except CorruptError:
            raise ReplyError(FUNCTIONS_PAYLOAD) from None
        yield code
