"""Commands on the connection itself: who the client is, which protocol it speaks, hello and bye."""

from __future__ import annotations

from functools import partial

from tendis_py import REDIS_VERSION
from tendis_py.commands.context import Context
from tendis_py.commands.permission import note_wrong_password
from tendis_py.commands.registry import command
from tendis_py.errors import (
    CLIENT_NAME,
    NO_AUTH_HELLO,
    NO_PASSWORD,
    NO_PROTOCOL,
    PROTOCOL_NOT_INTEGER,
    SYNTAX,
    WRONG_PASS,
    ReplyError,
    hello_option,
    wrong_arity,
)
from tendis_py.numbers import strict_integer
from tendis_py.resp.replies import OK, Replies, Reply

_command = partial(command, group="connection")
_BEFORE_AUTHENTICATION = "noscript loading stale fast no_auth allow_busy"


def is_plain(text: bytes) -> bool:
    """Whether a name is fit for CLIENT LIST: printable ASCII without blanks."""
    return all(33 <= byte <= 126 for byte in text)


@_command(
    "auth",
    -2,
    since="1.0.0",
    flags=_BEFORE_AUTHENTICATION,
    complexity="O(N) where N is the number of passwords defined for the user",
    alters_session=True,
    syntax="[username] password",
)
def auth(ctx: Context, args: list[bytes]) -> Reply:
    """Authenticates the connection."""
    if len(args) > 3:
        raise ReplyError(SYNTAX)
    default = ctx.services.acl.default
    if len(args) == 2 and default.definition.no_password:
        raise ReplyError(NO_PASSWORD)
    _authenticate(ctx, args, args[1] if len(args) == 3 else default.name, args[-1])
    return OK


def _authenticate(ctx: Context, args: list[bytes], username: bytes, password: bytes) -> None:
    """Let the session in. ReplyError on wrong credentials: it stays what it was."""
    acl = ctx.services.acl
    user = acl.authenticate(username, password)
    if user is None or not acl.become(ctx.session, user):
        note_wrong_password(ctx, args, username)
        raise ReplyError(WRONG_PASS)


@_command(
    "hello",
    -1,
    since="6.0.0",
    flags=_BEFORE_AUTHENTICATION,
    alters_session=True,
    syntax="[protover [AUTH username password] [SETNAME clientname]]",
)
def hello(ctx: Context, args: list[bytes]) -> Reply:
    """Handshakes with the Redis server."""
    session = ctx.session
    protocol = _protocol(args[1]) if len(args) > 1 else session.protocol
    credentials, name = _hello_options(args)
    if credentials is not None:
        _authenticate(ctx, args, *credentials)
    if not ctx.services.acl.admits(session):
        raise ReplyError(NO_AUTH_HELLO)
    if name is not None:
        session.name = name
    if protocol != session.protocol:
        session.use_protocol(protocol)
        session.compile_gates()
    return {
        b"server": b"redis",  # clients switch features on by this name
        b"version": REDIS_VERSION.encode(),
        b"proto": protocol,
        b"id": session.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def _protocol(argument: bytes) -> int:
    protocol = strict_integer(argument)
    if protocol is None:
        raise ReplyError(PROTOCOL_NOT_INTEGER)
    if protocol not in (2, 3):
        raise ReplyError(NO_PROTOCOL)
    return protocol


def _hello_options(args: list[bytes]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """Username and password, and the client's name, as far as they are given."""
    credentials, name = None, None
    at = 2
    while at < len(args):
        option, more = args[at].upper(), len(args) - at - 1
        if option == b"AUTH" and more >= 2:
            credentials = args[at + 1], args[at + 2]
            at += 3
        elif option == b"SETNAME" and more:
            name = args[at + 1]
            if not is_plain(name):
                raise ReplyError(CLIENT_NAME)
            at += 2
        else:
            raise hello_option(args[at])
    return credentials, name


def _ping_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    """Unless one of them has a message."""
    return ["PONG"] * len(requests) if all(len(request) == 1 for request in requests) else None


@_command(
    "ping",
    -1,
    since="1.0.0",
    flags="fast",
    run=_ping_run,
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    syntax="[message]",
)
def ping(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the server's liveliness response."""
    if len(args) > 2:
        raise wrong_arity("ping")
    if ctx.session.subscriptions is not None and ctx.session.protocol == 2:
        return [b"pong", args[1] if len(args) == 2 else b""]  # looks like a message there
    return args[1] if len(args) == 2 else "PONG"


@_command("echo", 2, since="1.0.0", flags="loading stale fast", syntax="message")
def echo(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the given string."""
    return args[1]


@_command("quit", -1, since="1.0.0", flags=_BEFORE_AUTHENTICATION, alters_session=True)
def quit_(ctx: Context, args: list[bytes]) -> Reply:
    """Closes the connection."""
    ctx.session.closing = True
    return OK


@_command("reset", 1, since="6.2.0", flags=_BEFORE_AUTHENTICATION, alters_session=True)
def reset(ctx: Context, args: list[bytes]) -> Reply:
    """Resets the connection."""
    ctx.tx.admit(len(ctx.session.subscriptions or ()))
    ctx.services.clients.leave(ctx.session)
    acl = ctx.services.acl
    ctx.session.reset(acl.is_open, acl.default)
    ctx.enter(ctx.session)
    return "RESET"
