"""Which clients leave their replies unread: they cost memory here, and time only themselves."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nlargest
from time import perf_counter_ns

from tendis_py.services.clients import Clients
from tendis_py.services.observation import ReaderFigures
from tendis_py.services.shown import shown
from tendis_py.services.stats import Stats
from tendis_py.session import Session

UNSENT_BYTES = 1024 * 1024
"""Of replies from which on it is worth a mention."""

MOST = 10


def slow_readers(clients: Clients, stats: Stats) -> list[ReaderFigures]:
    """The clients that have left the most unread, the worst first. All are gone through only if the
    reactors have met one lately."""
    if all(traffic.recent_largest()[1] < UNSENT_BYTES for traffic in stats.traffic):
        return []
    return nlargest(MOST, _behind(clients), key=lambda reader: reader.unsent)


def _behind(clients: Clients) -> Iterator[ReaderFigures]:
    now = perf_counter_ns()
    for session in list(clients.sessions.values()):
        unsent, since = session.peer.output_bytes, session.peer.outbox_since
        if unsent >= UNSENT_BYTES:
            command = session.last_command.replace("|", " ").upper()
            yield ReaderFigures(_named(session), command, unsent, max(now - since, 0) / 1e9)


def _named(session: Session) -> str:
    name = f' "{shown(session.name)}"' if session.name else ""
    return f"{shown(session.address.encode('utf-8', 'surrogateescape'))}{name}"
