"""CLIENT: what is known of the connections, and what may be done to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from tendis_py.commands.arguments import integer
from tendis_py.commands.client_line import client_line
from tendis_py.commands.connection import is_plain
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Lane, command, container
from tendis_py.config.syntax import encode
from tendis_py.errors import (
    CLIENT_ID,
    CLIENT_ID_RANGE,
    CLIENT_NAME,
    MAXAGE_NOT_INTEGER,
    MAXAGE_RANGE,
    NO_SUCH_CLIENT,
    PAUSE_MODE,
    TIMEOUT_NEGATIVE,
    TIMEOUT_NOT_INTEGER,
    TIMEOUT_RANGE,
    UNBLOCK_REASON,
    UNBLOCKED,
    ReplyError,
    client_attribute,
    no_such_user,
    syntax_error,
    unknown_client_type,
    unrecognized_option,
    wrong_subcommand,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import NO_REPLY, OK, Reply, Verbatim
from tendis_py.session import Session

container(
    "client",
    group="connection",
    since="2.4.0",
    summary="A container for client connection commands.",
)

_client = partial(command, group="connection", flags="noscript loading stale")
_admin = partial(command, group="connection", flags="admin noscript loading stale")
_ON_EVERY_NODE = ("request_policy:all_nodes", "response_policy:all_succeeded")

# This connection


@_client("client|id", 2, since="5.0.0")
def client_id(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the unique client ID of the connection."""
    return ctx.session.id


@_client("client|getname", 2, since="2.6.9")
def client_getname(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the name of the connection."""
    return ctx.session.name or None


@_client("client|setname", 3, since="2.6.9", tips=_ON_EVERY_NODE, syntax="connection-name")
def client_setname(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the connection name."""
    if not is_plain(args[2]):
        raise ReplyError(CLIENT_NAME)
    ctx.session.name = args[2]
    return OK


@_client(
    "client|setinfo",
    4,
    since="7.2.0",
    tips=_ON_EVERY_NODE,
    syntax="<LIB-NAME libname | LIB-VER libver>",
)
def client_setinfo(ctx: Context, args: list[bytes]) -> Reply:
    """Sets information specific to the client or connection."""
    attribute = {b"LIB-NAME": "lib_name", b"LIB-VER": "lib_version"}.get(args[2].upper())
    if attribute is None:
        raise unrecognized_option(args[2])
    if not is_plain(args[3]):
        raise client_attribute(args[2])
    setattr(ctx.session, attribute, args[3])
    return OK


@_admin("client|no-evict", 3, since="7.0.0", syntax="<ON | OFF>")
def client_no_evict(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the client eviction mode of the connection."""
    ctx.session.no_evict = _switch(args[2])
    return OK


@_client("client|no-touch", 3, since="7.2.0", syntax="<ON | OFF>")
def client_no_touch(ctx: Context, args: list[bytes]) -> Reply:
    """Controls whether commands sent by the client affect the LRU/LFU of accessed keys."""
    ctx.session.no_touch = _switch(args[2])
    ctx.enter(ctx.session)
    return OK


def _switch(argument: bytes) -> bool:
    word = argument.upper()
    if word not in (b"ON", b"OFF"):
        raise syntax_error()
    return word == b"ON"


@_client("client|reply", 3, since="3.2.0", syntax="<ON | OFF | SKIP>")
def client_reply(ctx: Context, args: list[bytes]) -> Reply:
    """Instructs the server whether to reply to commands."""
    session, mode = ctx.session, args[2].lower()
    if mode not in (b"on", b"off", b"skip"):
        raise syntax_error()
    if mode != b"skip" or session.reply_mode != "off":
        session.reply_mode = mode.decode()
        session.compile_gates()
    return OK if mode == b"on" else NO_REPLY


# All connections


@_client("client|info", 2, since="6.2.0", tips=("nondeterministic_output",))
def client_info(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information about the connection."""
    own = "exec" if ctx.nested else "client|info"
    return Verbatim(client_line(ctx.session, own, ctx.services.clock.monotonic()))


@_admin(
    "client|list",
    -2,
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    tips=("nondeterministic_output",),
    syntax="[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
)
def client_list(ctx: Context, args: list[bytes]) -> Reply:
    """Lists open connections."""
    sessions = ctx.services.clients.all()
    option = args[2].upper() if len(args) > 3 else b""
    if option == b"TYPE" and len(args) == 4:
        kind = _kind(args[3])
        sessions = [session for session in sessions if session.kind == kind]
    elif option == b"ID":
        by_id = {session.id: session for session in sessions}
        wanted = [integer(argument, error=CLIENT_ID) for argument in args[3:]]
        sessions = [by_id[one] for one in wanted if one in by_id]
    elif len(args) > 2:
        raise syntax_error()
    now = ctx.services.clock.monotonic()
    own = "exec" if ctx.nested else "client|list"
    return Verbatim(
        b"".join(
            client_line(session, own if session is ctx.session else session.last_command, now)
            for session in sessions
        )
    )


def _kind(argument: bytes) -> str:
    kinds = {
        b"NORMAL": "normal",
        b"SLAVE": "replica",
        b"REPLICA": "replica",
        b"PUBSUB": "pubsub",
        b"MASTER": "master",
    }
    kind = kinds.get(argument.upper())
    if kind is None:
        raise unknown_client_type(argument)
    return kind


# Killing


@dataclass(slots=True)
class _Filter:
    """Whom CLIENT KILL is for; what is None does not matter."""

    id: int | None = None
    address: bytes | None = None
    local_address: bytes | None = None
    kind: str | None = None
    max_age: int | None = None
    user: bytes | None = None
    skip_me: bool = True

    def matches(self, session: Session, now: float) -> bool:
        return (
            self.id in (None, session.id)
            and self.address in (None, encode(session.address))
            and self.local_address in (None, encode(session.local_address))
            and self.kind in (None, session.kind)
            and self.user in (None, session.user.name)
            and (self.max_age is None or int(now - session.created) >= self.max_age)
        )


@_admin(
    "client|kill",
    -3,
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    syntax=(
        "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | "
        "[USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | "
        "[MAXAGE maxage]> [<[ID client-id] | "
        "[TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | "
        "[LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]> ...]>"
    ),
)
def client_kill(ctx: Context, args: list[bytes]) -> Reply:
    """Terminates open connections."""
    if len(args) == 3:
        if not _kill(ctx, _Filter(address=args[2], skip_me=False)):
            raise ReplyError(NO_SUCH_CLIENT)
        return OK
    return _kill(ctx, _filter(ctx, args))


def _kill(ctx: Context, wanted: _Filter) -> int:
    """Kill whom the filter matches; how many that are. The own connection still gets its reply."""
    clients, me = ctx.services.clients, ctx.session
    killed = 0
    now = ctx.services.clock.monotonic()
    for session in clients.all():
        if not wanted.matches(session, now):
            continue
        if session is not me:
            killed += clients.kill(session)
        elif not wanted.skip_me:
            me.closing = True
            killed += 1
    return killed


def _filter(ctx: Context, args: list[bytes]) -> _Filter:
    wanted = _Filter()
    for option, value in zip_longest(args[2::2], args[3::2]):
        match option.upper():
            case _ if value is None:
                raise syntax_error()
            case b"ID":
                wanted.id = integer(value, 1, INT64_MAX, CLIENT_ID_RANGE)
            case b"TYPE":
                wanted.kind = _kind(value)
            case b"ADDR":
                wanted.address = value
            case b"LADDR":
                wanted.local_address = value
            case b"USER":
                if ctx.services.acl.find(value) is None:
                    raise no_such_user(value)
                wanted.user = value
            case b"SKIPME" if value.upper() in (b"YES", b"NO"):
                wanted.skip_me = value.upper() == b"YES"
            case b"MAXAGE":
                wanted.max_age = integer(value, error=MAXAGE_NOT_INTEGER)
                if wanted.max_age <= 0:
                    raise ReplyError(MAXAGE_RANGE)
            case _:
                raise syntax_error()
    return wanted


# Waiting


@_admin(
    "client|unblock",
    -3,
    since="5.0.0",
    complexity="O(log N) where N is the number of client connections",
    syntax="client-id [TIMEOUT | ERROR]",
)
def client_unblock(ctx: Context, args: list[bytes]) -> Reply:
    """Unblocks a client blocked by a blocking command from a different connection."""
    if len(args) > 4:
        raise wrong_subcommand("client", args[1])
    reason = args[3].upper() if len(args) == 4 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise ReplyError(UNBLOCK_REASON)
    services = ctx.services
    session = services.clients.sessions.get(integer(args[2]))
    wait = None if session is None else services.waiters.sessions.get(session)
    if session is None or wait is None or not services.waiters.take(wait):
        return 0
    error = session.encoders[ReplyError](ReplyError(UNBLOCKED))
    wait.ending = wait.timed_out if reason == b"TIMEOUT" else error
    services.waiters.end(wait)
    session.peer.home.answer(session.peer, wait.ending)
    return 1


# Pausing


@_admin(
    "client|pause",
    -3,
    since="3.0.0",
    lane=Lane.FAST,
    exclusive=True,  # what began before has ended when this answers
    syntax="timeout [WRITE | ALL]",
)
def client_pause(ctx: Context, args: list[bytes]) -> Reply:
    """Suspends commands processing."""
    if len(args) > 4:
        raise wrong_subcommand("client", args[1])
    mode = args[3].upper() if len(args) == 4 else b"ALL"
    if mode not in (b"WRITE", b"ALL"):
        raise ReplyError(PAUSE_MODE)
    milliseconds = integer(args[2], error=TIMEOUT_NOT_INTEGER)
    if milliseconds < 0:
        raise ReplyError(TIMEOUT_NEGATIVE)
    if milliseconds > INT64_MAX - ctx.tx.now:
        raise ReplyError(TIMEOUT_RANGE)
    ctx.services.pause.start(milliseconds / 1000, writes_only=mode == b"WRITE")
    return OK


@_admin(
    "client|unpause",
    2,
    since="6.2.0",
    complexity="O(N) Where N is the number of paused clients",
)
def client_unpause(ctx: Context, args: list[bytes]) -> Reply:
    """Resumes processing commands from paused clients."""
    ctx.services.pause.end()
    return OK


@command("client|help", 2, group="connection", since="5.0.0", flags="loading stale")
def client_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "CLIENT",
        (
            "CACHING (YES|NO)",
            "Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        ),
        (
            "GETREDIR",
            "Return the client ID we are redirecting to when tracking is enabled.",
        ),
        ("GETNAME", "Return the name of the current connection."),
        ("ID", "Return the ID of the current connection."),
        ("INFO", "Return information about the current client connection."),
        ("KILL <ip:port>", "Kill connection made from <ip:port>."),
        (
            "KILL <option> <value> [<option> <value> [...]]",
            "Kill connections. Options are:\n"
            "* ADDR (<ip:port>|<unixsocket>:0)\n"
            "  Kill connections made from the specified address\n"
            "* LADDR (<ip:port>|<unixsocket>:0)\n"
            "  Kill connections made to specified local address\n"
            "* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)\n"
            "  Kill connections by type.\n"
            "* USER <username>\n"
            "  Kill connections authenticated by <username>.\n"
            "* SKIPME (YES|NO)\n"
            "  Skip killing current connection (default: yes).\n"
            "* ID <client-id>\n"
            "  Kill connections by client id.\n"
            "* MAXAGE <maxage>\n"
            "  Kill connections older than the specified age.",
        ),
        (
            "LIST [options ...]",
            "Return information about client connections. Options:\n"
            "* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)\n"
            "  Return clients of specified type.",
        ),
        ("UNPAUSE", "Stop the current client pause, resuming traffic."),
        (
            "PAUSE <timeout> [WRITE|ALL]",
            "Suspend all, or just write, clients for <timeout> milliseconds.",
        ),
        ("REPLY (ON|OFF|SKIP)", "Control the replies sent to the current connection."),
        ("SETNAME <name>", "Assign the name <name> to the current connection."),
        (
            "SETINFO <option> <value>",
            "Set client meta attr. Options are:\n"
            "* LIB-NAME: the client lib name.\n"
            "* LIB-VER: the client lib version.",
        ),
        (
            "UNBLOCK <clientid> [TIMEOUT|ERROR]",
            "Unblock the specified blocked client.",
        ),
        (
            "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]\n"
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "Control server assisted client side caching.",
        ),
        ("TRACKINGINFO", "Report tracking status for the current connection."),
        ("NO-EVICT (ON|OFF)", "Protect current client connection from eviction."),
        ("NO-TOUCH (ON|OFF)", "Will not touch LRU/LFU stats when this mode is on."),
    )
