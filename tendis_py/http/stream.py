"""Server-sent events: one response that goes on until its client leaves."""

from __future__ import annotations

import trio
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tendis_py.http.feed import Feed, TooManyWatchersError

SEND_SECONDS = 10.0
"""Within which an event has to be taken, or its client is let go."""


class EventStream(Response):
    media_type = "text/event-stream"

    def __init__(self, feed: Feed) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wait_for_end, receive, nursery.cancel_scope)
                with self._feed.watching():
                    await self._send_events(send)
                nursery.cancel_scope.cancel()
        except* TooManyWatchersError:
            refusal = PlainTextResponse(
                "too many watch already\n", 503, {"retry-after": "10", "connection": "close"}
            )
            await refusal(scope, receive, send)

    async def _send_events(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers},
        )
        event = self._feed.beginning()
        number = self._feed.number
        while True:
            with trio.move_on_after(SEND_SECONDS) as patience:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            if patience.cancelled_caught:
                return
            number, event = await self._feed.after(number)

    @staticmethod
    async def _wait_for_end(receive: Receive, scope: trio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()
