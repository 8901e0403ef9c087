"""What must not be shown of a request: passwords, as Redis hides them from SLOWLOG and MONITOR.

Knows the syntax of the commands that take secrets, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tendis_py.resp.requests import Request

REDACTED = b"(redacted)"

_SECRET_SETTINGS = frozenset(
    (
        b"requirepass",
        b"masterauth",
        b"masteruser",
        b"tls-key-file-pass",
        b"tls-client-key-file-pass",
    )
)


def redacted(request: Request) -> Request:
    """``request`` itself, or a copy with its secrets replaced."""
    secrets = _SECRETS.get(request[0].lower())
    positions = set(secrets(request)) if secrets is not None else ()
    if not positions:
        return request
    return [REDACTED if at in positions else argument for at, argument in enumerate(request)]


def _in_auth(request: Request) -> Iterable[int]:
    return range(1, len(request)) if len(request) <= 3 else ()


def _in_hello(request: Request) -> Iterable[int]:
    at = 2
    while at < len(request):
        option, more = request[at].lower(), len(request) - at - 1
        if option == b"auth" and more >= 2:
            yield from (at + 1, at + 2)
            at += 3
        elif option == b"setname" and more:
            at += 2
        else:
            return


def _in_config(request: Request) -> Iterable[int]:
    if len(request) > 2 and request[1].lower() == b"set":
        for at in range(2, len(request) - 1, 2):
            if request[at].lower() in _SECRET_SETTINGS:
                yield at + 1


_ABOUT_USERS = frozenset((b"setuser", b"deluser", b"getuser"))


def _in_acl(request: Request) -> Iterable[int]:
    if len(request) > 1 and request[1].lower() in _ABOUT_USERS:
        return range(2, len(request))
    return ()


_MIGRATE_SECRETS = {b"copy": 0, b"replace": 0, b"auth": 1, b"auth2": 2}
"""Option → how many of them follow it."""


def _in_migrate(request: Request) -> Iterable[int]:
    at = 6
    while at < len(request):
        secrets = _MIGRATE_SECRETS.get(request[at].lower())
        if secrets is None or at + secrets >= len(request):
            return
        yield from range(at + 1, at + 1 + secrets)
        at += 1 + secrets


_SECRETS: dict[bytes, Callable[[Request], Iterable[int]]] = {
    b"auth": _in_auth,
    b"hello": _in_hello,
    b"config": _in_config,
    b"acl": _in_acl,
    b"migrate": _in_migrate,
}
