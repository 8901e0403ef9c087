"""HOTKEYS: which keys commands spend time and bytes on, while somebody wants to know.

While a session is active, batches are drawn, one of so many as its ratio says, whose requests run
one by one and are noted here; the others run as ever. So nothing is paid while there is no session,
and little with a ratio. Knows no commands.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tendis_py.services.clock import Clock
from tendis_py.services.heaviest import Heaviest
from tendis_py.services.process import cpu_times

KEPT = 20
"""So many keys are told apart for each one that is reported."""

MOST_KEYS = 2048
"""Of a command with more keys the others are not told apart: each has the smallest of shares, and
whoever notes something meanwhile must not wait."""


@dataclass(frozen=True, slots=True)
class HotKeysReport:
    """``start_ms`` in Unix time; ``user_ms`` and ``system_ms`` of the whole process. What commands
    with keys took, and the bytes of their requests and replies, is of those that were drawn:
    ``by_cpu`` in ns, ``by_net`` in bytes, None where that was not wanted."""

    active: bool
    ratio: int
    start_ms: int
    duration_ms: int
    user_ms: int
    system_ms: int
    execute_ns: int
    net_bytes: int
    by_cpu: Sequence[tuple[bytes, int]] | None
    by_net: Sequence[tuple[bytes, int]] | None


class _Session:
    def __init__(
        self, cpu: bool, net: bool, count: int, seconds: int, ratio: int, now_ms: int
    ) -> None:
        self.cpu = Heaviest(count * KEPT) if cpu else None
        self.net = Heaviest(count * KEPT) if net else None
        self.count = count
        self.ratio = ratio
        self.start_ms = now_ms
        self.end_ms = now_ms + seconds * 1000 if seconds else None
        self.times_before = cpu_times()
        self.execute_ns = self.net_bytes = 0
        self.last: HotKeysReport | None = None
        """Its report, once it is over."""


class HotKeys:
    """Any thread may call any method."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._ratio = 0
        self.active = False
        """Whether executing threads are to ask ``draws`` before each batch."""

    def draws(self) -> bool:
        """Whether the requests of the batch that begins are to be noted."""
        self.look()
        return self.active and (self._ratio == 1 or random.random() * self._ratio < 1)

    def note(self, keys: Sequence[bytes], elapsed_ns: int, net_bytes: int) -> None:
        """A command on ``keys``, at least one, has taken so long, and its request and reply so many
        bytes."""
        with self._lock:
            session = self._session
            if session is None or not self.active:
                return
            session.execute_ns += elapsed_ns
            session.net_bytes += net_bytes
            share_ns, share_bytes = elapsed_ns // len(keys), net_bytes // len(keys)
            for key in keys[:MOST_KEYS]:
                if session.cpu is not None:
                    session.cpu.add(key, share_ns)
                if session.net is not None:
                    session.net.add(key, share_bytes)

    def start(self, *, cpu: bool, net: bool, count: int, seconds: int, ratio: int) -> bool:
        """Begin a session, for ``seconds`` (0: until it is stopped); the one before is forgotten.
        False while one is active."""
        self.look()
        with self._lock:
            if self.active:
                return False
            self._session = _Session(cpu, net, count, seconds, ratio, self._clock.now_ms())
            self._ratio = ratio
            self.active = True
            return True

    def stop(self) -> bool:
        """End the session; what it has found stays. False when none is active."""
        self.look()
        with self._lock:
            if not self.active:
                return False
            self._end(self._clock.now_ms())
            return True

    def is_on(self) -> bool:
        """Whether a session is active now."""
        self.look()
        return self.active

    def look(self) -> None:
        """End the session if its time is over."""
        session = self._session
        if session is None or session.end_ms is None or not self.active:
            return
        with self._lock:
            now = self._clock.now_ms()
            if self.active and self._session is session and now >= session.end_ms:
                self._end(now)

    def _end(self, now: int) -> None:
        assert self._session is not None
        self.active = False
        self._session.last = self._report(self._session, now)

    def reset(self) -> bool:
        """Forget what the last session has found. False while one is active."""
        self.look()
        with self._lock:
            if self.active:
                return False
            self._session = None
            return True

    def report(self) -> HotKeysReport | None:
        """What the session has found, or the last one; None when there was none."""
        self.look()
        with self._lock:
            session = self._session
            if session is None:
                return None
            return session.last or self._report(session, self._clock.now_ms())

    def _report(self, session: _Session, now: int) -> HotKeysReport:
        times, before = cpu_times(), session.times_before
        return HotKeysReport(
            active=self.active,
            ratio=session.ratio,
            start_ms=session.start_ms,
            duration_ms=now - session.start_ms,
            user_ms=int((times.user - before.user) * 1000),
            system_ms=int((times.system - before.system) * 1000),
            execute_ns=session.execute_ns,
            net_bytes=session.net_bytes,
            by_cpu=None if session.cpu is None else session.cpu.top(session.count),
            by_net=None if session.net is None else session.net.top(session.count),
        )
