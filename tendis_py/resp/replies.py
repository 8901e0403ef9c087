"""Reply encoding: Python values in, bytes out. The only place where RESP2 and RESP3 differ.

What a command handler may return, ``Reply``:

======================  ===============  ======================
Python value            RESP3            RESP2
======================  ===============  ======================
``bytes``               bulk string      bulk string
``str``                 simple string    simple string
``int``                 integer          integer
``None``                null             null bulk string
``NULL_ARRAY``          null             null array
``float``               double           bulk string
``bool``                boolean          integer 0 or 1
``list``, ``tuple``     array            array
``Stream``              array            array
``dict``                map              flat array
``PairStream``          map              flat array
``Pairs``               map              array of arrays of two
``set``, ``frozenset``  set              array
``OrderedSet``          set              array
``SetStream``           set              array
``Verbatim``            verbatim string  bulk string
``Digits``              double           bulk string
``Push``                push             array
``ReplyError``          error            error
``Encoded``             as it is         as it is
``EncodedArray``        array            array
``Pieces``              bulk string      bulk string
======================  ===============  ======================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from itertools import islice, repeat
from typing import Any

from tendis_py.errors import ReplyError
from tendis_py.numbers import format_double
from tendis_py.pieces import Pieces, Text, joined

Payload = Text
"""A reply on the wire format: what has a long string in it is in pieces."""

Encode = Callable[[Any], Payload]


class Encoded(bytes):
    """A reply that is on the wire format already."""

    __slots__ = ()


class Verbatim(bytes):
    """Text for people (INFO, CLIENT LIST): RESP3 marks it as ``txt``."""

    __slots__ = ()


class Digits(bytes):
    """A number that a Python float is too coarse for, as it is spelled."""

    __slots__ = ()


class OrderedSet(list[Any]):
    """Different elements of any type, in the order they are to be sent in."""

    __slots__ = ()


class Push(list[Any]):
    """An out-of-band RESP3 message: kind first, then its data."""

    __slots__ = ()


class Stream:
    """An array whose elements are made while they are encoded: a long reply then holds neither
    all of them at once nor the GIL for long. Elements are of the types above."""

    __slots__ = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = values


class SetStream(Stream):
    """As ``Stream``, for a set: the elements are different."""

    __slots__ = ()


class Pairs(list[Any]):
    """(key, value) tuples: a map whose keys need not be different (XREAD of a stream twice)."""

    __slots__ = ()


class PairStream:
    """A map whose pairs are made while they are encoded, as the elements of a Stream."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.pairs = pairs


class EncodedArray:
    """An array of ``count`` elements that are on the wire format already: one after the other in
    ``payloads``, of which one may hold several."""

    __slots__ = ("count", "payloads")

    def __init__(self, count: int, payloads: list[Payload]) -> None:
        self.count = count
        self.payloads = payloads


class NullArray:
    __slots__ = ()


Reply = (
    bytes  # Encoded, Verbatim and Digits, too
    | Pieces
    | str
    | int
    | None
    | NullArray
    | float
    | bool
    | list[Any]  # OrderedSet, Pairs and Push, too
    | EncodedArray
    | tuple[Any, ...]
    | Stream  # SetStream, too
    | dict[Any, Any]
    | PairStream
    | set[Any]
    | frozenset[Any]
    | ReplyError
)
"""What a command handler may return. What a container holds is of these types again, which ``Any``
leaves unsaid: containers are invariant, so that a ``list[bytes]`` would be no ``list[Reply]``."""

Replies = list[Any]
"""A ``Reply`` to each of several requests."""

NULL_ARRAY = NullArray()
OK = Encoded(b"+OK\r\n")
QUEUED = Encoded(b"+QUEUED\r\n")
NO_REPLY = Encoded(b"")

_WHOLE = 2.0**62
_SMALL = 4096
_STREAM_CHUNK = 1024
_FEW = 8
_SHORT = frozenset((int, Encoded))
_BULK_HEAD = [b"$%d\r\n" % length for length in range(_SMALL)]
_INTEGERS = [b":%d\r\n" % value for value in range(_SMALL)]


def format_doubles(values: Collection[float]) -> list[bytes]:
    """As ``format_double`` for each; whole numbers in a quarter of the time."""
    if not all(map(float.is_integer, values)) or max(map(abs, values)) > _WHOLE or 0.0 in values:
        return list(map(format_double, values))
    return (b"%d " * len(values) % tuple(values)).split()


def _bulk(value: bytes) -> bytes:
    length = len(value)
    if length < _SMALL:
        return _BULK_HEAD[length] + value + b"\r\n"
    return b"$%d\r\n%b\r\n" % (length, value)


def _encoded_array(array: EncodedArray) -> Payload:
    return joined([b"*%d\r\n" % array.count, *array.payloads])


def _long_bulk(value: Pieces) -> Payload:
    return Pieces([b"$%d\r\n" % len(value), *value.parts, b"\r\n"])


def _integer(value: int) -> bytes:
    return _INTEGERS[value] if 0 <= value < _SMALL else b":%d\r\n" % value


def _simple(value: str) -> bytes:
    return b"+%b\r\n" % value.encode("utf-8", "surrogateescape")


def _error(value: ReplyError) -> bytes:
    return b"-%b\r\n" % value.message.encode("utf-8", "surrogateescape")


def _same(value: bytes) -> bytes:
    return value


def _null_bulk(_: None) -> bytes:
    return b"$-1\r\n"


def _null_array(_: NullArray) -> bytes:
    return b"*-1\r\n"


def _null(_: object) -> bytes:
    return b"_\r\n"


def _double(value: float) -> bytes:
    return b",%b\r\n" % format_double(value)


def _boolean(value: bool) -> bytes:
    return b"#t\r\n" if value else b"#f\r\n"


def _verbatim(value: Verbatim) -> bytes:
    return b"=%d\r\ntxt:%b\r\n" % (len(value) + 4, value)


def _aggregate(kind: bytes, encoders: dict[type, Encode]) -> Encode:
    head = kind + b"%d\r\n"
    short_heads = [head % length for length in range(_FEW + 1)]

    def encode(values: Any) -> Payload:
        length = len(values)
        few = length <= _FEW
        start = short_heads[length] if few else head % length
        if length > _STREAM_CHUNK:
            rest = iter(values)
            chunks: list[Payload] = [start]
            while part := [encoders[type(value)](value) for value in islice(rest, _STREAM_CHUNK)]:
                chunks.append(joined(part))
            return joined(chunks)
        if not few and set(map(type, values)) == {bytes}:
            return start + _bulks(values, list(map(len, values)))
        parts = [encoders[type(value)](value) for value in values]
        try:
            return start + b"".join(parts)  # type: ignore[arg-type]
        except TypeError:
            return joined([start, *parts])

    return encode


def _bulks(values: Collection[bytes], sizes: list[int]) -> bytes:
    """Bulk strings of these ``sizes``, one after the other; at half the cost if they are equal."""
    if sizes.count(sizes[0]) == len(sizes):
        head = b"$%d\r\n" % sizes[0]
        return head + (b"\r\n" + head).join(values) + b"\r\n"
    if max(sizes) >= _SMALL:
        return b"".join(map(_bulk, values))
    parts = [b"\r\n"] * (3 * len(sizes))
    parts[::3] = [_BULK_HEAD[size] for size in sizes]
    parts[1::3] = values
    return b"".join(parts)


def _stream(kind: bytes, encoders: dict[type, Encode]) -> Encode:
    head = kind + b"%d\r\n"

    def encode(stream: Stream) -> Payload:
        values = iter(stream.values)
        count = 0
        chunks: list[Payload] = [b""]
        while part := [encoders[type(value)](value) for value in islice(values, _STREAM_CHUNK)]:
            count += len(part)
            chunks.append(joined(part))
        chunks[0] = head % count
        return joined(chunks)

    return encode


def _pairs(encoders: dict[type, Encode]) -> Encode:
    def encode(pairs: Pairs) -> Payload:
        parts: list[Payload] = [b"%%%d\r\n" % len(pairs)]
        parts += [encoders[type(part)](part) for pair in pairs for part in pair]
        return joined(parts)

    return encode


def _map(head: bytes, encoders: dict[type, Encode], per_pair: int) -> Encode:
    def encode(pairs: dict[Any, Any]) -> Payload:
        parts: list[Payload] = [head % (len(pairs) * per_pair)]
        for key, value in pairs.items():
            parts.append(encoders[type(key)](key))
            parts.append(encoders[type(value)](value))
        return joined(parts)

    return encode


def _pair_stream(head: bytes, encoders: dict[type, Encode], per_pair: int) -> Encode:
    def encode(stream: PairStream) -> Payload:
        pairs = iter(stream.pairs)
        count = 0
        chunks: list[Payload] = [b""]
        while part := list(islice(pairs, _STREAM_CHUNK)):
            count += len(part)
            encoded: list[bytes] = [
                encoders[type(key)](key) + encoders[type(value)](value)  # type: ignore[operator]
                for key, value in part
            ]  # no Pieces: these are elements
            chunks.append(b"".join(encoded))
        chunks[0] = head % (count * per_pair)
        return joined(chunks)

    return encode


def _encoders(protocol: int) -> dict[type, Encode]:
    encoders: dict[type, Encode] = {
        bytes: _bulk,
        Pieces: _long_bulk,
        str: _simple,
        int: _integer,
        Encoded: _same,
        EncodedArray: _encoded_array,
        ReplyError: _error,
    }
    array = _aggregate(b"*", encoders)
    encoders[list] = encoders[tuple] = array
    encoders[Stream] = _stream(b"*", encoders)
    if protocol == 2:
        encoders[type(None)] = _null_bulk
        encoders[NullArray] = _null_array
        encoders[float] = lambda value: _bulk(format_double(value))
        encoders[bool] = lambda value: _integer(int(value))
        encoders[set] = encoders[frozenset] = encoders[OrderedSet] = encoders[Push] = array
        encoders[SetStream] = encoders[Stream]
        encoders[Verbatim] = encoders[Digits] = _bulk
        encoders[dict] = _map(b"*%d\r\n", encoders, 2)
        encoders[PairStream] = _pair_stream(b"*%d\r\n", encoders, 2)
        encoders[Pairs] = array
    else:
        encoders[type(None)] = encoders[NullArray] = _null
        encoders[float] = _double
        encoders[bool] = _boolean
        encoders[set] = encoders[frozenset] = encoders[OrderedSet] = _aggregate(b"~", encoders)
        encoders[SetStream] = _stream(b"~", encoders)
        encoders[Push] = _aggregate(b">", encoders)
        encoders[Verbatim] = _verbatim
        encoders[Digits] = lambda value: b",%b\r\n" % value
        encoders[dict] = _map(b"%%%d\r\n", encoders, 1)
        encoders[PairStream] = _pair_stream(b"%%%d\r\n", encoders, 1)
        encoders[Pairs] = _pairs(encoders)
    return encoders


ENCODERS: dict[int, dict[type, Encode]] = {2: _encoders(2), 3: _encoders(3)}
"""Protocol version (2 or 3) → type of the value → its encoder."""


def encode_each(values: list[Any], encoders: dict[type, Encode]) -> list[Payload]:
    """Each value encoded; faster than one by one where all are of one kind."""
    kinds = set(map(type, values))
    if kinds == {Encoded}:
        return values
    if kinds == {int}:
        return [b":%d\r\n" % value for value in values]
    if kinds == {bytes} and max(map(len, values)) < _SMALL:
        return [_BULK_HEAD[len(value)] + value + b"\r\n" for value in values]
    if kinds == {float}:
        texts = format_doubles(values)
        if encoders[float] is _double:
            return [b",%b\r\n" % text for text in texts]
        return [_BULK_HEAD[len(text)] + text + b"\r\n" for text in texts]
    if kinds == {list} and len(set(map(len, values))) == 1 and values[0]:
        columns = [encode_each(list(column), encoders) for column in zip(*values, strict=True)]
        head = b"*%d\r\n" % len(columns)
        lines = zip(repeat(head), *columns, strict=False)
        return list(map(b"".join, lines))  # TypeError for Pieces
    return [encoders[type(value)](value) for value in values]


def encode_run(values: list[Any], encoders: dict[type, Encode], limit: int) -> Payload | None:
    """All values encoded, in one piece; None when they are data of more than about ``limit`` bytes.
    Integers and OKs are no data: there is no more of them than was asked."""
    kinds = set(map(type, values))
    if kinds == {bytes}:
        sizes = list(map(len, values))
        return _bulks(values, sizes) if sum(sizes) <= limit else None
    payload = joined(encode_each(values, encoders))
    return payload if len(payload) <= limit or _SHORT.issuperset(kinds) else None


_BULKS = b"$=!"
_ELEMENTS = {b"*": 1, b"~": 1, b">": 1, b"%": 2}
"""Kind of an aggregate → replies for each of what its head counts."""


def split_replies(payload: bytes) -> list[bytes]:
    """The replies and pushes that ``payload``, made here, consists of."""
    found = []
    start = at = 0
    while start < len(payload):
        missing = 1
        while missing:
            line_end = payload.index(b"\r\n", at)
            kind, missing = payload[at : at + 1], missing - 1
            if kind in _BULKS:
                size = int(payload[at + 1 : line_end])
                line_end += 2 + size if size >= 0 else 0
            elif kind == b"|":  # an attribute, of the reply that follows
                missing += 2 * int(payload[at + 1 : line_end]) + 1
            elif kind in _ELEMENTS:
                missing += _ELEMENTS[kind] * max(int(payload[at + 1 : line_end]), 0)
            at = line_end + 2
        found.append(payload[start:at])
        start = at
    return found


_TOLD = re.compile(
    rb">|\*3\r\n\$\d+\r\n([ps]?(un)?subscribe|message)\r\n|\+\d+\.\d{6} \[",
)


def is_push(reply: bytes) -> bool:
    """Whether one reply, made here, is a push: in RESP2 the array that confirms a subscription, or
    tells a subscriber what is to be read again, and in either protocol a line of MONITOR."""
    return _TOLD.match(reply) is not None


def encode(value: Reply, protocol: int = 2) -> Payload:
    """``value`` on the wire in RESP ``protocol``."""
    return ENCODERS[protocol][type(value)](value)
