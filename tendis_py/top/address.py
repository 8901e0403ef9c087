"""Where a server is and who asks it, from what a user types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 6379

_HOST_PORT = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]*)(?::(\d+))?")


@dataclass(frozen=True, slots=True)
class Target:
    """A server at ``host`` and ``port``, or at the unix socket ``path``; ``password`` None: none is
    sent. ``user`` may be empty, for the default one."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    path: str = ""
    user: str = ""
    password: str | None = None
    database: int = 0

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(
    address: str,
    *,
    user: str | None = None,
    password: str | None = None,
    database: int | None = None,
    environment: Mapping[str, str],
) -> Target:
    """Read ``HOST:PORT``, ``HOST``, ``:PORT``, ``[IPV6]:PORT``, a path with a ``/`` in it, or a
    ``redis://`` or ``unix://`` URL. What is given besides goes before what the URL says, and that
    before ``REDISCLI_AUTH``. Raises ValueError."""
    url = urlsplit(address) if "://" in address else SplitResult("", "", "", "", "")
    match url.scheme:
        case "redis":
            host, port, path = url.hostname or DEFAULT_HOST, url.port or DEFAULT_PORT, ""
        case "unix":
            host, port, path = DEFAULT_HOST, DEFAULT_PORT, unquote(url.path)
        case "" if "://" not in address:
            host, port, path = _parse_plain(address)
        case _:
            raise ValueError(f"{address}: redis:// and unix:// are the URLs that are understood")
    if password is None and url.password is not None:
        password = unquote(url.password)
    if user is None:
        user = unquote(url.username or "")
    if password is None:
        password = environment.get("REDISCLI_AUTH")
    if user and password is None:
        raise ValueError("a user needs a password: --password, or REDISCLI_AUTH")
    if database is None:
        named = url.path.strip("/") if url.scheme == "redis" else ""
        database = _number(named, "database") if named else 0
    return Target(host, port, path, user, password, database)


def _parse_plain(address: str) -> tuple[str, int, str]:
    if "/" in address:
        return DEFAULT_HOST, DEFAULT_PORT, address
    if address.count(":") > 1 and not address.startswith("["):
        return str(ip_address(address)), DEFAULT_PORT, ""
    match = _HOST_PORT.fullmatch(address)
    if match is None:
        raise ValueError(f"{address}: neither HOST:PORT nor the path of a unix socket")
    host, port = match.groups()
    number = _number(port, "port") if port else DEFAULT_PORT
    if not 0 < number < 65536:
        raise ValueError(f"{port}: a port is between 1 and 65535")
    return host.strip("[]") or DEFAULT_HOST, number, ""


def _number(text: str, name: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text}: a {name} is a number")
    return int(text)
