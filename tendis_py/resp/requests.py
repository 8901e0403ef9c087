"""Request parsing: bytes in, argument lists out. Sans-io; knows no socket and no command.

Three ways through, chosen chunk by chunk:

* requests of a *shape* seen before are cut out by one pattern (``shapes``);
* the *fast* way hands a whole chunk to hiredis (0.12 µs a command) and then proves, from the
  lengths of what came out, that the chunk held nothing but complete requests of bulk strings;
* the *incremental* way parses one element at a time, exactly as Redis' ``networking.c`` does. It
  takes inline commands, requests cut by the end of a chunk, hostile input, and connections that
  have not authenticated yet (Redis caps what those may announce). Of a request of many arguments
  it takes those together that hold no line end.

hiredis allocates what an array header announces, so no chunk reaches it in which a header could
announce more than four digits; memory is bounded by what was received.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import hiredis

from tendis_py.errors import ProtocolError, printable
from tendis_py.numbers import strict_integer
from tendis_py.pieces import BLOCK_BYTES
from tendis_py.resp.long_argument import LongArgument
from tendis_py.resp.shapes import ShapeTable

Request = list[bytes]
"""Name and arguments. One argument may be ``Pieces`` instead of bytes: the value that the command
says it takes so, if it is long (``Command.long_value``)."""


LongValues = Callable[[bytes], int]
"""Name of a command, in whatever case → the position of the argument that may be Pieces; or 0."""

CHUNK_BYTES = 64 * 1024
"""The most that ``feed`` takes by the fast way; also the longest inline request and header."""

LONG_BULK_BYTES = 64 * 1024
"""A longer argument is put together as it arrives."""

MAX_INLINE = 64 * 1024
MAX_MULTIBULK = 2**31 - 1
MAX_MULTIBULK_UNAUTHENTICATED = 10
MAX_BULK_UNAUTHENTICATED = 16384

MANY_ARGUMENTS = 16
"""From so many missing ones on it is tried to take several at once."""
_ONE_BY_ONE = 256
"""How many are taken one by one after that has failed: to try costs more than a few of them."""
_HEADS = [b"$%d" % length for length in range(256)]

_MORE: Any = object()
_LONG_ARRAY_HEADER = re.compile(rb"\*\d{5}|\*\d*\Z")
_LONGEST_HEADER = len(b"*9999\r\n")
_LIST = frozenset((list,))


def request_bytes(request: Request) -> int:
    """How long ``request`` is on the wire, as an array of bulk strings."""
    sizes = [*map(len, request)]
    digits = sum(map(len, map(str, [len(sizes), *sizes])))
    return len(b"*\r\n") + len(b"$\r\n\r\n") * len(sizes) + digits + sum(sizes)


class FastReader:
    """The hiredis reader that all connections of one thread share: it never keeps a remainder."""

    __slots__ = ("_feed", "_gets", "_has_data", "_shapes")

    def __init__(self) -> None:
        self._shapes = ShapeTable()
        self._renew()

    def _renew(self) -> None:
        reader = hiredis.Reader(notEnoughData=_MORE)
        self._feed, self._gets, self._has_data = reader.feed, reader.gets, reader.has_data

    def read(self, chunk: bytes) -> tuple[list[Request], int] | None:
        """The complete requests at the head of ``chunk`` and the bytes they took.

        None when the chunk needs the incremental parser: it is not an array of bulk strings, or a
        header in it may announce a huge array.
        """
        requests = self._shapes.read(chunk)
        if requests is not None:
            return requests, len(chunk)
        read = self._read_new(chunk)
        if read is not None and read[0] and read[1] == len(chunk):
            self._shapes.missed(chunk, read[0])
        return read

    def _read_new(self, chunk: bytes) -> tuple[list[Request], int] | None:
        """As ``read``, where the chunk is of no known shape."""
        after_header = chunk.find(b"\n", 0, _LONGEST_HEADER) + 1
        if chunk[0] != 42 or not after_header:
            return None
        arrays = chunk.count(b"*")
        if arrays == 1:
            return self._read_one(chunk)
        header = chunk[:after_header]
        if chunk.count(header) != arrays and _LONG_ARRAY_HEADER.search(chunk) is not None:
            return None
        return self._read_many(chunk, arrays)

    def _read_one(self, chunk: bytes) -> tuple[list[Request], int] | None:
        """As ``read``, where there is one array at most: a third of the cost."""
        try:
            self._feed(chunk)
            request = self._gets()
            if type(request) is list and hiredis.pack_command(tuple(request)) == chunk:
                return [request] if request else [], len(chunk)
        except (hiredis.HiredisError, TypeError):
            pass
        self._renew()
        return None

    def _read_many(self, chunk: bytes, arrays: int) -> tuple[list[Request], int] | None:
        """As ``read``, where there are ``arrays`` of them, or that many *."""
        try:
            self._feed(chunk)
            requests = list(iter(self._gets, _MORE))
            arguments = b"".join(chain.from_iterable(requests))  # TypeError: more than bytes
        except (hiredis.HiredisError, TypeError):
            self._renew()
            return None
        number = sum(map(len, requests))
        # Outside of the arguments there is one * for each array, one $ and two line ends for each
        # bulk string: no room for another kind of element (simple string, set …).
        if (
            arrays - arguments.count(b"*") == len(requests)
            and chunk.count(b"$") - arguments.count(b"$") == number
            and chunk.count(b"\r\n") - arguments.count(b"\r\n") == len(requests) + 2 * number
            and _LIST.issuperset(map(type, requests))
            and not self._has_data()  # but for a type byte, the last of the chunk
            and chunk.endswith(b"\r\n")
        ):
            size = len(chunk)
        else:
            self._renew()
            complete = b"".join(map(hiredis.pack_command, map(tuple, requests)))
            if not chunk.startswith(complete):
                return None
            size = len(complete)
        if not all(requests):
            requests = [request for request in requests if request]
        return requests, size


class RequestParser:
    """One connection's input. ``feed`` returns the requests that a chunk completes.

    After a protocol error ``error`` is set, the requests before it are still returned, and further
    input is ignored.
    """

    __slots__ = (
        "_argument_bytes",
        "_arguments",
        "_buffer",
        "_bulk_length",
        "_fast",
        "_long",
        "_long_values",
        "_missing",
        "_one_by_one",
        "_scanned",
        "authenticated",
        "error",
        "max_bulk",
    )

    def __init__(
        self,
        fast: FastReader,
        *,
        max_bulk: int = 512 * 1024 * 1024,
        authenticated: bool = True,
        long_values: LongValues = lambda name: 0,
    ) -> None:
        self._fast = fast
        self.max_bulk = max_bulk
        self.authenticated = authenticated
        self.error: ProtocolError | None = None
        self._buffer: bytearray | None = None  # input not parsed yet; None between requests
        self._scanned = 0  # how much of the buffer is known to hold no line end
        self._arguments: Request = []
        self._argument_bytes = 0  # of those, while there are some
        self._missing = 0  # arguments still to come of the request being read
        self._bulk_length = -1  # announced length of the argument being read
        self._long: LongArgument | None = None  # where its bytes go, if they are many
        self._long_values = long_values
        self._one_by_one = 0  # how many arguments are still to be taken so

    def discard(self) -> None:
        """Give up what was received of a request that is not complete."""
        self._buffer = None
        self._arguments = []
        if self._long is not None:
            self._long.give_up()
            self._long = None

    @property
    def buffered(self) -> int:
        """Bytes held for a request that is not complete yet."""
        return self.unparsed + (self._argument_bytes if self._arguments else 0)

    @property
    def unparsed(self) -> int:
        """Bytes of the line or argument that is not complete yet."""
        if self._buffer is None:
            return 0
        return len(self._buffer) + (0 if self._long is None else self._long.received)

    def feed(self, chunk: bytes) -> list[Request]:
        """The requests that ``chunk`` completes, in order."""
        if self.error is not None or not chunk:
            return []
        if self._buffer is None:
            return self._feed_at_boundary(chunk)
        if self._long is not None and len(chunk) <= self._long.missing:
            self._long.take(chunk)
            return []
        self._buffer += chunk
        requests: list[Request] = []
        self._parse(requests, stop_at_boundary=True)
        if self._buffer is not None and self._missing == 0 and requests:
            rest = bytes(self._buffer)
            self._buffer = None
            requests += self._feed_at_boundary(rest)
        return requests

    def _feed_at_boundary(self, chunk: bytes) -> list[Request]:
        """As ``feed``, when the chunk starts with a new request."""
        requests: list[Request] = []
        if self.authenticated and len(chunk) <= CHUNK_BYTES:
            read = self._fast.read(chunk)
            if read is not None:
                requests, size = read
                if size == len(chunk):
                    return requests
                chunk = chunk[size:]
        self._buffer = bytearray(chunk)
        self._parse(requests)
        return requests

    def _parse(self, requests: list[Request], *, stop_at_boundary: bool = False) -> None:
        """Take complete requests off the head of the buffer: all, or the one it starts with."""
        buffer = self._buffer
        assert buffer is not None
        position = 0
        try:
            while position < len(buffer):
                if self._missing == 0:
                    if stop_at_boundary and requests:
                        break
                    after = self._start_request(buffer, position, requests)
                elif self._bulk_length < 0:
                    if self._missing >= MANY_ARGUMENTS and not self._one_by_one:
                        taken = self._take_bulks(buffer, position, requests)
                        if taken > position:
                            position = taken
                            self._scanned = 0
                            continue
                    after = self._start_bulk(buffer, position)
                elif self._long is not None and self._long.missing:
                    with memoryview(buffer) as view:
                        after = position + self._long.take(view[position:])
                else:
                    after = self._take_bulk(buffer, position, requests)
                if after < 0:
                    break
                position = after
                self._scanned = 0
        except ProtocolError as error:
            self.error = error
            self._buffer = None
            self._arguments = []
            return
        if position == len(buffer) and self._missing == 0:
            self._buffer = None
        elif position:
            del buffer[:position]

    def _line_end(self, buffer: bytearray, position: int, end: bytes, too_long: str) -> int:
        """Where the line at ``position`` ends, or -1 when it is not complete."""
        at = buffer.find(end, position + self._scanned)
        if at < 0:
            if len(buffer) - position > MAX_INLINE:
                raise ProtocolError(too_long)
            self._scanned = max(0, len(buffer) - position - 1)
        return at

    def _start_request(self, buffer: bytearray, position: int, requests: list[Request]) -> int:
        if buffer[position] != 42:  # not '*'
            end = self._line_end(buffer, position, b"\n", "too big inline request")
            if end < 0:
                return -1
            arguments = split_inline(bytes(buffer[position:end]))
            if arguments:
                requests.append(arguments)
            return end + 1
        end = self._line_end(buffer, position, b"\r", "too big mbulk count string")
        if end < 0 or end + 1 >= len(buffer):
            return -1
        count = strict_integer(buffer[position + 1 : end])
        if count is None or count > MAX_MULTIBULK:
            raise ProtocolError("invalid multibulk length")
        if count > MAX_MULTIBULK_UNAUTHENTICATED and not self.authenticated:
            raise ProtocolError("unauthenticated multibulk length")
        self._missing = max(0, count)
        return end + 2

    def _start_bulk(self, buffer: bytearray, position: int) -> int:
        end = self._line_end(buffer, position, b"\r", "too big bulk count string")
        if end < 0 or end + 1 >= len(buffer):
            return -1
        if buffer[position] != 36:  # not '$'
            raise ProtocolError(f"expected '$', got '{printable(buffer[position : position + 1])}'")
        length = strict_integer(buffer[position + 1 : end])
        if length is None or not 0 <= length <= self.max_bulk:
            raise ProtocolError("invalid bulk length")
        if length > MAX_BULK_UNAUTHENTICATED and not self.authenticated:
            raise ProtocolError("unauthenticated bulk length")
        self._bulk_length = length
        if length > LONG_BULK_BYTES:
            place = len(self._arguments)
            in_pieces = length > BLOCK_BYTES and 0 < place == self._long_values(self._arguments[0])
            self._long = LongArgument(length, in_pieces=in_pieces)
        return end + 2

    def _take_bulks(self, buffer: bytearray, position: int, requests: list[Request]) -> int:
        """Take the arguments that are complete, up to one that holds a line end, at a sixth of the
        cost of each alone; where the next one begins."""
        with memoryview(buffer) as view:
            parts = bytes(view[position:]).split(b"\r\n", 2 * self._missing)
        number = (len(parts) - 1) // 2
        values, heads = parts[1 : 2 * number : 2], parts[0 : 2 * number : 2]
        longest = len(_HEADS)
        right = [_HEADS[size] if size < longest else b"$%d" % size for size in map(len, values)]
        if right != heads or max(map(len, values), default=0) > self.max_bulk:
            number = next(
                at
                for at, (head, value) in enumerate(zip(heads, values, strict=True))
                if head != right[at] or len(value) > self.max_bulk
            )
            values, heads = values[:number], heads[:number]
            self._one_by_one = _ONE_BY_ONE
        if not values:
            return position
        self._add(values, requests)
        return position + sum(map(len, heads)) + sum(map(len, values)) + 4 * number

    def _add(self, arguments: list[bytes], requests: list[Request]) -> None:
        if not self._arguments:
            self._argument_bytes = 0
        self._arguments += arguments
        self._argument_bytes += sum(map(len, arguments))
        self._missing -= len(arguments)
        if self._missing == 0:
            requests.append(self._arguments)
            self._arguments = []
            self._one_by_one = 0

    def _take_bulk(self, buffer: bytearray, position: int, requests: list[Request]) -> int:
        end = position + (0 if self._long is not None else self._bulk_length)
        if len(buffer) < end + 2:
            return -1
        if self._long is not None:
            argument = cast(bytes, self._long.value())
            self._long = None
        else:
            with memoryview(buffer) as view:
                argument = bytes(view[position:end])
        self._bulk_length = -1
        self._one_by_one = max(self._one_by_one - 1, 0)
        self._add([argument], requests)
        return end + 2


_ESCAPES = {110: 10, 114: 13, 116: 9, 98: 8, 97: 7}  # \n \r \t \b \a
_SPACE = b" \t\n\v\f\r"
_WORD_END = b" \t\n\r"
_HEX = b"0123456789abcdefABCDEF"


def split_inline(line: bytes) -> Request:
    """Split an inline request into arguments, with Redis' quoting (sdssplitargs). Of the white
    space only ``_WORD_END`` ends a word."""
    if not any(special in line for special in (b'"', b"'", b"\v", b"\f")):
        return line.split()
    arguments: Request = []
    position = 0
    while True:
        while position < len(line) and line[position] in _SPACE:
            position += 1
        if position == len(line):
            return arguments
        argument, position = _split_argument(line, position)
        arguments.append(argument)


def _split_argument(line: bytes, position: int) -> tuple[bytes, int]:
    argument = bytearray()
    quote = 0
    while position < len(line):
        byte = line[position]
        if not quote:
            if byte in _WORD_END:
                break
            if byte in b"\"'":
                quote = byte
            else:
                argument.append(byte)
        elif byte == quote:
            if position + 1 < len(line) and line[position + 1] not in _SPACE:
                raise ProtocolError("unbalanced quotes in request")
            return bytes(argument), position + 1
        elif byte == 92 and quote == 34 and position + 1 < len(line):
            digits = line[position + 2 : position + 4]
            if line[position + 1] == 120 and len(digits) == 2 and all(d in _HEX for d in digits):
                argument.append(int(digits, 16))
                position += 3
            else:
                position += 1
                argument.append(_ESCAPES.get(line[position], line[position]))
        elif byte == 92 and line[position + 1 : position + 2] == b"'":
            position += 1
            argument.append(39)
        else:
            argument.append(byte)
        position += 1
    if quote:
        raise ProtocolError("unbalanced quotes in request")
    return bytes(argument), position
