"""The Starlette application: the page, its events, /metrics. Knows no sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from time import perf_counter

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tendis_py.http.feed import Feed
from tendis_py.http.guard import Guard
from tendis_py.http.metrics import exposition
from tendis_py.http.stream import EventStream
from tendis_py.services import Services

_PAGE = {
    "/": ("dashboard.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Path → file of the package, media type."""

REST = 10
"""Making /metrics takes one part in so many of the time at the most, however often it is asked for:
meanwhile it is answered as before."""


def make_app(services: Services, feed: Feed) -> Starlette:
    scrape = _Scrape(services)

    def events(request: Request) -> Response:
        return EventStream(feed)

    def get_metrics(request: Request) -> Response:
        return scrape.answer(request.headers.get("accept", ""))

    routes = [
        *(Route(path, _file(*asset)) for path, asset in _PAGE.items()),
        Route("/events", _now(events)),
        Route("/metrics", _now(get_metrics)),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, services)])
    app.router.redirect_slashes = False
    return app


def _now(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """``answer`` in the dashboard's own thread, which Starlette would start others for."""

    async def endpoint(request: Request) -> Response:
        return answer(request)

    return endpoint


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = (files("tendis_py.http") / "static" / name).read_bytes()
    headers = {
        "content-type": media_type,
        "cache-control": "no-cache",
        "etag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
    }

    def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return _now(answer)


class _Scrape:
    """/metrics, made anew unless it has just been."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._latest: dict[bool, tuple[float, Response]] = {}
        """Whether it is OpenMetrics → until when it is good (by perf_counter), the answer."""

    def answer(self, accept: str) -> Response:
        is_open = "openmetrics" in accept
        began = perf_counter()
        good_until, response = self._latest.get(is_open, (0.0, None))
        if response is None or began >= good_until:
            content, media_type = exposition(self._services, accept)
            headers = {"content-type": media_type, "cache-control": "no-store"}
            response = Response(content, headers=headers)
            ended = perf_counter()
            self._latest[is_open] = ended + REST * (ended - began), response
        return response
