"""What a primary without replicas says of itself. None can come, and it can't become one itself:
who asks for that is told so."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.registry import command
from tendis_py.errors import (
    FAILOVER_NEEDS_REPLICAS,
    FAILOVER_TIMEOUT,
    INVALID_MASTER_PORT,
    NO_FAILOVER,
    NO_REPLICAS,
    NO_REPLICAS_YET,
    NO_REPLICATION,
    ReplyError,
    syntax_error,
)
from tendis_py.resp.replies import OK, Reply

_replication = partial(command, group="server", flags="admin noscript no_async_loading no_multi")
_become = partial(_replication, flags="admin noscript stale no_async_loading")

_HIGHEST_PORT = 65535


@command(
    "role",
    1,
    group="server",
    since="2.8.12",
    flags="noscript loading stale fast",
    categories="admin dangerous",
)
def role(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the replication role."""
    return [b"master", 0, []]


@_become("replicaof", 3, since="5.0.0", syntax="<host port | NO ONE>")
def replicaof(ctx: Context, args: list[bytes]) -> Reply:
    """Configures a server as replica of another, or promotes it to a master."""
    return _replicaof(args)


@_become("slaveof", 3, since="1.0.0", syntax="<host port | NO ONE>")
def slaveof(ctx: Context, args: list[bytes]) -> Reply:
    """Sets a Redis server as a replica of another, or promotes it to being a master."""
    return _replicaof(args)


def _replicaof(args: list[bytes]) -> Reply:
    if [word.lower() for word in args[1:]] == [b"no", b"one"]:
        return OK
    integer(args[2], 0, _HIGHEST_PORT, INVALID_MASTER_PORT)
    raise ReplyError(NO_REPLICATION)


@_replication(
    "failover",
    -1,
    since="6.2.0",
    flags="admin noscript stale",
    syntax="[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
)
def failover(ctx: Context, args: list[bytes]) -> Reply:
    """Starts a coordinated failover from a server to one of its replicas."""
    words = [word.lower() for word in args[1:]]
    if words == [b"abort"]:
        raise ReplyError(NO_FAILOVER)
    given = set()
    at = 0
    while at < len(words):
        word, more = words[at], len(words) - at - 1
        if word in given:
            raise syntax_error()
        if word == b"timeout" and more:
            if integer(words[at + 1]) <= 0:
                raise ReplyError(FAILOVER_TIMEOUT)
            at += 2
        elif word == b"to" and more > 1:
            integer(words[at + 2])
            at += 3
        elif word == b"force":
            at += 1
        else:
            raise syntax_error()
        given.add(word)
    raise ReplyError(FAILOVER_NEEDS_REPLICAS)


# What a replica would ask for


@_replication("sync", 1, since="1.0.0", complexity="")
def sync(ctx: Context, args: list[bytes]) -> Reply:
    """An internal command used in replication."""
    raise ReplyError(NO_REPLICAS)


@_replication("psync", -3, since="2.8.0", complexity="", syntax="replicationid offset")
def psync(ctx: Context, args: list[bytes]) -> Reply:
    """An internal command used in replication."""
    integer(args[2])
    raise ReplyError(NO_REPLICAS_YET)


@_replication("replconf", -1, since="3.0.0", flags="admin noscript loading stale allow_busy")
def replconf(ctx: Context, args: list[bytes]) -> Reply:
    """An internal command for configuring the replication stream."""
    raise ReplyError(NO_REPLICAS)
