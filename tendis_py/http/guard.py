"""What every HTTP request passes before it is answered, and what every answer carries.

Role: who may ask (host, protected mode, password), what may be asked (nothing with a body), and the
headers that keep a browser from doing more than show the page. ASGI; does not know the routes.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tendis_py.services import Services

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_SHOWN = ([b"INFO"], [b"SLOWLOG", b"GET"])
"""Commands that tell what is shown: only who may use them may see it."""

_ASK = {"www-authenticate": 'Basic realm="tendis-py", charset="UTF-8"'}


class Guard:
    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        answer: ASGIApp = self._app
        if scope["type"] == "http":
            answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        config, acl = self._services.config, self._services.acl
        from_here = is_loopback(_first(scope["client"]))
        if is_loopback(_first(scope["server"])) and not _is_ours(headers.get("host", "localhost")):
            # A page elsewhere whose name was made to mean this machine: DNS rebinding.
            return _say(403, "on a loopback address, ask for localhost or an IP address")
        if config.protected_mode and acl.default.definition.no_password and not from_here:
            return _say(403, "protected mode: set requirepass, or protected-mode no")
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if site == "cross-site" and mode != "navigate":
            return _say(403, "not for other sites")
        if not acl.is_open and not self._knows(headers.get("authorization", "")):
            return _say(401, "a user's password is needed, of one who may look", _ASK)
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if scope["method"] in ("GET", "HEAD") and has_body:
            return _say(413, "no request has a body here", {"connection": "close"})
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        name, _, password = decoded.partition(b":")
        user = self._services.acl.authenticate(name, password)
        if user is None:
            return False
        permits = user.permits
        return permits is None or permits.leading(_SHOWN) == len(_SHOWN)


def is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _first(address: Any) -> str:
    return str(address[0]) if address else ""


def _is_ours(host: str) -> bool:
    """Whether a Host header names this machine without anybody's DNS."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    if port and not port.isdecimal():
        return False
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _say(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers)
