"""Looks at a server again and again, and comes back to one that was away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hiredis
import trio

from tendis_py.top.address import Target
from tendis_py.top.client import Client, Refused, Request, Unreachable, connect
from tendis_py.top.snapshot import Answers, Snapshot, parse_info, snapshot

SLOW_ENTRIES = 16
RETRY_SECONDS = 5.0

_SECTIONS = (
    *("server", "clients", "memory", "persistence", "stats", "cpu", "keyspace"),
    *("commandstats", "latencystats", "stages", "rocksdb"),
)
_OURS = (
    ("STAGES", "LATENCY"),
    ("STAGES", "QUEUES"),
    ("STAGES", "THREADS"),
    ("STAGES", "FINDINGS"),
)


@dataclass(frozen=True, slots=True)
class Lost:
    """The server can't be asked at the moment: ``reason`` in words."""

    reason: str


class Observer:
    """Asks one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._questions: list[Request] | None = None
        self._before: Snapshot | None = None

    async def look(self) -> Snapshot:
        """Ask for everything at once. Raises Unreachable, or Refused."""
        if self._questions is None:
            self._questions = await self._learn()
        info, slowlog, *ours = await self._client.ask(*self._questions)
        if isinstance(info, hiredis.ReplyError):
            raise Refused(str(info))
        answers = Answers(trio.current_time(), str(info), *map(_value, [slowlog, *ours]))
        try:
            self._before = snapshot(answers, self._before)
        except ValueError as error:
            raise Unreachable(f"its answer can't be read: {error}") from None
        return self._before

    async def _learn(self) -> list[Request]:
        """What this server can be asked. A look is to leave no errors in its statistics."""
        [info] = await self._client.ask(("INFO", "SERVER"))
        if isinstance(info, hiredis.ReplyError):
            raise Refused(str(info))
        server = parse_info(str(info))
        if "tendis_py_version" in server:
            return [("INFO", *_SECTIONS), ("SLOWLOG", "STAGES", SLOW_ENTRIES), *_OURS]
        major = server.get("redis_version", "").partition(".")[0]
        several = major.isdecimal() and int(major) >= 7  # sections in one request
        return [
            ("INFO", *_SECTIONS) if several else ("INFO", "ALL"),
            ("SLOWLOG", "GET", SLOW_ENTRIES),
        ]


def _value(reply: Any) -> Any:
    """None for what the server does not let us have."""
    return None if isinstance(reply, hiredis.ReplyError) else reply


async def look_twice(target: Target, interval: float) -> Snapshot:
    """A snapshot with rates: those of ``interval`` seconds. Raises Unreachable, or Refused."""
    async with await connect(target) as client:
        observer = Observer(client)
        await observer.look()
        await trio.sleep(interval)
        return await observer.look()


async def watch(target: Target, interval: float, tell: Callable[[Snapshot | Lost], None]) -> None:
    """Tell of the server every ``interval`` seconds, until cancelled."""
    pause = interval
    while True:
        try:
            async with await connect(target) as client:
                observer = Observer(client)
                while True:
                    tell(await observer.look())
                    pause = interval
                    await trio.sleep(interval)
        except (Unreachable, Refused) as error:
            tell(Lost(str(error)))
        await trio.sleep(pause)
        pause = min(2 * pause, max(interval, RETRY_SECONDS))


class Watcher:
    """``watch`` in a thread of its own. ``tell`` is called there, also with what has ended it
    against our will."""

    def __init__(
        self, target: Target, interval: float, tell: Callable[[Snapshot | Lost | Exception], None]
    ) -> None:
        self._target = target
        self._interval = interval
        self._tell = tell
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def start(self) -> None:
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._scope.cancel)
            except trio.RunFinishedError:
                pass
            self._thread.join()

    def _run(self) -> None:
        try:
            trio.run(self._watch)
        except Exception as failure:
            self._tell(failure)

    async def _watch(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._started.set()
        with self._scope:
            await watch(self._target, self._interval, self._tell)
