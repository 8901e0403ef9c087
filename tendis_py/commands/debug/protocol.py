"""DEBUG PROTOCOL and ERROR: replies of every kind, for those who write clients."""

from __future__ import annotations

from tendis_py.commands.context import Context
from tendis_py.commands.debug.forms import form
from tendis_py.errors import NO_SUCH_PROTOCOL_TYPE, RESP2_NOT_SUPPORTED, ReplyError
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import Encoded, OrderedSet, Push, Reply, Verbatim, encode

_BIG_NUMBER = b"1234567999999999999999999999999999999"
_ATTRIBUTE = (
    b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"  # precedes the reply it is of
)

_VALUES: dict[bytes, Reply] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"null": None,
    b"array": [0, 1, 2],
    b"set": OrderedSet([0, 1, 2]),
    b"map": {0: False, 1: True, 2: False},
    b"verbatim": Verbatim(b"This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
}


@form(
    "PROTOCOL <type>",
    help="Reply with a test value of the specified type. <type> can be: string,\n"
    "integer, double, bignum, null, array, set, map, attrib, push, verbatim,\n"
    "true, false.",
)
def debug_protocol(ctx: Context, args: list[bytes]) -> Reply:
    kind = args[2].lower()
    resp3 = ctx.session.protocol == 3
    if kind == b"bignum":
        return Encoded(b"(%b\r\n" % _BIG_NUMBER) if resp3 else _BIG_NUMBER
    if kind == b"attrib":
        real = encode(b"Some real reply following the attribute")
        return Encoded(_ATTRIBUTE * resp3 + bytes(real))
    if kind == b"push":
        if not resp3:
            raise ReplyError(RESP2_NOT_SUPPORTED)
        return _with_push(ctx)
    if kind not in _VALUES:
        raise ReplyError(NO_SUCH_PROTOCOL_TYPE)
    return _VALUES[kind]


def _with_push(ctx: Context) -> Reply:
    """The reply, and after it the push; in a transaction after that of EXEC."""
    push = Push([b"server-cpu-usage", 42])
    reply = b"Some real reply following the push reply"
    if ctx.session.plain or ctx.session.screened:
        return Encoded(bytes(encode(reply)) + bytes(encode(push, 3)))
    ctx.later.append(Message(push))
    return reply


@form(
    "ERROR <string>",
    help="Return a Redis protocol error with <string> as message. Useful for clients\n"
    "unit tests to simulate Redis errors.",
)
def debug_error(ctx: Context, args: list[bytes]) -> Reply:
    """It counts as no failure: the command has done what it was asked for."""
    return Encoded(b"-%b\r\n" % args[2].translate(_WITHOUT_LINES))


_WITHOUT_LINES = bytes.maketrans(b"\r\n", b"  ")
