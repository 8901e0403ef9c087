"""python-socketio's managers: servers that emit to each other's clients by pub/sub."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio

from tests.support.servers import HOST, ServerProcess

SECONDS = 20.0


class Site:
    """A Socket.IO server with one client, whose transport is ``sent``: what it would be sent."""

    def __init__(self, url: str) -> None:
        self.manager = socketio.AsyncRedisManager(url)
        self.server = socketio.AsyncServer(client_manager=self.manager, async_mode="asgi")
        self.server.eio.send_packet = self._send
        self.sent: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.sid = ""

    async def open(self) -> None:
        self.manager.initialize()
        self.sid = await self.manager.connect("transport", "/")

    async def close(self) -> None:
        self.manager.thread.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.manager.thread
        await self.manager.pubsub.aclose()
        await self.manager.redis.aclose()

    async def heard(self) -> list[Any]:
        return await asyncio.wait_for(self.sent.get(), SECONDS)

    async def _send(self, _transport: str, packet: Any) -> None:
        assert packet.data[0] == "2"  # EVENT
        await self.sent.put(json.loads(packet.data[1:]))


@pytest.fixture
def url(server: ServerProcess) -> str:
    return f"redis://{HOST}:{server.port}/0"


@contextlib.asynccontextmanager
async def two_sites(url: str, server: ServerProcess) -> AsyncIterator[tuple[Site, Site]]:
    sites = Site(url), Site(url)
    for site in sites:
        await site.open()
    with server.client() as client:
        while client.value("PUBSUB", "NUMSUB", "socketio")[1] < 2:
            await asyncio.sleep(0)
    try:
        yield sites
    finally:
        for site in sites:
            await site.close()


def test_servers_emit_to_each_others_clients(url: str, server: ServerProcess) -> None:
    async def main() -> None:
        async with two_sites(url, server) as (one, other):
            for number in range(30):
                await one.server.emit("news", {"number": number})
            for site in (one, other):
                for number in range(30):
                    assert await site.heard() == ["news", {"number": number}]

            await other.server.emit("private", "x", to=one.sid)
            assert await one.heard() == ["private", "x"]

            await one.server.enter_room(other.sid, "tea")
            while other.sid not in [sid for sid, _ in other.manager.get_participants("/", "tea")]:
                await asyncio.sleep(0)
            await one.server.emit("poured", to="tea")
            assert await other.heard() == ["poured"]
            await one.server.close_room("tea")
            assert one.sent.empty()
            assert other.sent.empty()

    asyncio.run(asyncio.wait_for(main(), SECONDS))


def test_a_program_without_clients_emits(url: str, server: ServerProcess) -> None:
    """A worker, say, which only publishes, and is not asynchronous."""

    async def main() -> None:
        async with two_sites(url, server) as sites:
            worker = socketio.RedisManager(url, write_only=True)
            try:
                for number in range(10):
                    await asyncio.to_thread(worker.emit, "done", {"job": number})
            finally:
                worker.redis.close()
            for site in sites:
                for number in range(10):
                    assert await site.heard() == ["done", {"job": number}]

    asyncio.run(asyncio.wait_for(main(), SECONDS))
