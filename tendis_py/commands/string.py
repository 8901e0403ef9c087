"""String commands."""

from __future__ import annotations

from typing import Any

from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, command
from tendis_py.resp.replies import OK
from tendis_py.types import string as strings


@command("get", 2, group="string", since="1.0.0", flags="readonly fast", keys=Keys("RO access"))
def get(ctx: Context, args: list[bytes]) -> Any:
    """Returns the string value of a key."""
    return strings.get(ctx.db, args[1])


@command("set", -3, group="string", since="1.0.0", flags="write denyoom", keys=Keys("RW access update variable_flags"))
def set_(ctx: Context, args: list[bytes]) -> Any:
    """Sets the string value of a key."""
    strings.put(ctx.db, args[1], args[2])
    return OK


@command("ping", -1, group="connection", since="1.0.0", flags="fast")
def ping(ctx: Context, args: list[bytes]) -> Any:
    """Returns the server's liveliness response."""
    return "PONG"
