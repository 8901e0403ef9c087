"""Replies of commands as what a script gets for them: the encoders of the session it speaks by.

A value that Lua has as well is itself; an aggregate becomes a table. A simple string and an error
are pairs, (text, kind), of which prelude.lua makes the table; so is a long array, whose parts it
puts together. As in Redis, RESP2's null is ``false`` and RESP3's is nil, and what only RESP3 has is
a table with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from tendis_py.errors import ReplyError
from tendis_py.numbers import format_double
from tendis_py.pieces import Pieces
from tendis_py.resp.replies import (
    OK,
    Digits,
    Encoded,
    EncodedArray,
    NullArray,
    OrderedSet,
    Pairs,
    PairStream,
    Push,
    SetStream,
    Stream,
    Verbatim,
)

STATUS, ERROR, ENDING, PARTS = 1, 2, 3, 4
"""Kinds of values that prelude.lua has to look at."""

AT_ONCE = 4096
"""Elements that are handed over in one call, which holds the GIL to its end."""

_ELEMENT = 64
"""Bytes that an element takes in a table, about, besides its text."""

Convert = Callable[[Any], Any]


def converters(
    table: Callable[[Any], Any], claim_room: Callable[[int], None]
) -> dict[int, dict[type, Convert]]:
    """Protocol → type of a reply → what makes Lua's value of it. ``table`` makes Lua's tables;
    ``claim_room`` raises if there is not so much memory left for what is handed over next."""
    return {protocol: _of(protocol, table, claim_room) for protocol in (2, 3)}


def _of(
    protocol: int, table: Callable[[Any], Any], claim_room: Callable[[int], None]
) -> dict[type, Convert]:
    inner: dict[type, Convert] = {}
    """Those of elements, where a pair would be a list."""

    def text(value: bytes) -> bytes:
        if len(value) > AT_ONCE:
            claim_room(len(value))
        return value

    def pieces(value: Pieces) -> bytes:
        claim_room(len(value))
        return bytes(value)

    def elements(values: list[Any]) -> Any:
        claim_room(_ELEMENT * len(values))
        return table([inner[type(value)](value) for value in values])

    def array(values: Any) -> Any:
        if len(values) <= AT_ONCE:
            return elements(values)
        return many(values)

    def many(values: Iterable[Any]) -> Any:
        rest = iter(values)
        parts = []
        while part := list(islice(rest, AT_ONCE)):
            parts.append(elements(part))
        return parts[0] if len(parts) == 1 else (table(parts), PARTS)

    def whole(values: Iterable[Any]) -> Any:
        """As ``many``, within another."""
        return elements(list(values))

    def pairs(items: Iterable[tuple[Any, Any]]) -> Any:
        return array([part for pair in items for part in pair])

    def named(name: bytes, items: Iterable[tuple[Any, Any]]) -> Any:
        made = {inner[type(key)](key): inner[type(value)](value) for key, value in items}
        claim_room(2 * _ELEMENT * len(made))
        return table({name: table(made)})

    def map_of(items: Iterable[tuple[Any, Any]]) -> Any:
        return named(b"map", items)

    def set_of(values: Iterable[Any]) -> Any:
        made = {inner[type(value)](value): True for value in values}
        claim_room(_ELEMENT * len(made))
        return table({b"set": table(made)})

    def simple(value: str) -> Any:
        return value.encode("utf-8", "surrogateescape")

    def error(value: ReplyError) -> Any:
        return value.message.encode("utf-8", "surrogateescape")

    def encoded(value: bytes) -> Any:
        if value is OK:
            return b"OK", STATUS
        parsed, _ = _parse(value, 0)
        return outer[type(parsed)](parsed)

    def encoded_inside(value: bytes) -> Any:
        parsed, _ = _parse(value, 0)
        return inner[type(parsed)](parsed)

    def encoded_array(value: EncodedArray) -> Any:
        raise TypeError("a script can't run what answers so")

    outer: dict[type, Convert] = {
        bytes: text,
        Pieces: pieces,
        int: _same,
        list: array,
        tuple: array,
        Push: array,
        Stream: lambda stream: many(stream.values),
        EncodedArray: encoded_array,
    }
    if protocol == 2:
        outer[type(None)] = outer[NullArray] = lambda _: False
        outer[bool] = int
        outer[float] = format_double
        outer[Digits] = outer[Verbatim] = bytes
        outer[set] = outer[frozenset] = outer[OrderedSet] = array
        outer[SetStream] = outer[Stream]
        outer[Pairs] = array
        outer[dict] = lambda value: pairs(value.items())
        outer[PairStream] = lambda stream: pairs(stream.pairs)
    else:
        outer[type(None)] = outer[NullArray] = lambda _: None
        outer[bool] = _same
        outer[float] = lambda value: table({b"double": value})
        outer[Digits] = lambda value: table({b"double": float(value)})
        outer[Verbatim] = lambda value: table(
            {b"verbatim_string": table({b"format": b"txt", b"string": bytes(value)})}
        )
        outer[set] = outer[frozenset] = outer[OrderedSet] = set_of
        outer[SetStream] = lambda stream: set_of(stream.values)
        outer[Pairs] = map_of
        outer[dict] = lambda value: map_of(value.items())
        outer[PairStream] = lambda stream: map_of(stream.pairs)
    inner.update(outer)
    for kind in (list, tuple, Push):
        inner[kind] = elements
    inner[Stream] = lambda stream: whole(stream.values)
    if protocol == 2:
        inner[set] = inner[frozenset] = inner[OrderedSet] = inner[Pairs] = whole
        inner[SetStream] = inner[Stream]
        inner[dict] = lambda value: whole(part for pair in value.items() for part in pair)
        inner[PairStream] = lambda stream: whole(part for pair in stream.pairs for part in pair)
    inner[str] = lambda value: table({b"ok": simple(value)})
    inner[ReplyError] = lambda value: table({b"err": error(value)})
    inner[Encoded] = encoded_inside
    outer[str] = lambda value: (simple(value), STATUS)
    outer[ReplyError] = lambda value: (error(value), ERROR)
    outer[Encoded] = encoded
    return outer


def _same(value: Any) -> Any:
    return value


_AGGREGATES: dict[bytes, Callable[[list[Any]], Any]] = {
    b"*": list,
    b">": list,
    b"~": OrderedSet,
    b"%": lambda parts: Pairs(zip(parts[::2], parts[1::2], strict=True)),
}


def _parse(payload: bytes, at: int) -> tuple[Any, int]:
    """The value that a reply, made here, stands for, and where it ends."""
    kind, end = payload[at : at + 1], payload.index(b"\r\n", at)
    head, at = payload[at + 1 : end], end + 2
    if kind in _AGGREGATES:
        parts = []
        for _ in range(int(head) * (2 if kind == b"%" else 1)):
            part, at = _parse(payload, at)
            parts.append(part)
        return _AGGREGATES[kind](parts), at
    if kind == b"$":
        size = int(head)
        return (None, at) if size < 0 else (payload[at : at + size], at + size + 2)
    if kind == b":":
        return int(head), at
    if kind == b"+":
        return head.decode("utf-8", "surrogateescape"), at
    if kind == b"-":
        return ReplyError(head.decode("utf-8", "surrogateescape")), at
    if kind == b"_":
        return None, at
    raise ValueError(f"no reply of a command that scripts run: {kind!r}")
