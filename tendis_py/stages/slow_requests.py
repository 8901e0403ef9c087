"""What the slow log is told of a batch: commands that took long, and requests that did in all.

The second is known when the replies are sent, after the batch has let go of its requests: so a few
are kept, as the log would show them, where ``slowlog-total-slower-than`` asks for that.
"""

from __future__ import annotations

from tendis_py.commands.redaction import redacted
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.requests import Request
from tendis_py.services import Services
from tendis_py.services.slowlog import Slowlog, shortened
from tendis_py.session import Session
from tendis_py.stages.work import Batch

MOST_LOGGED = 16
"""Requests of a batch that are logged for what they took in all, which is the same for all of them:
a thousand more would push everything else out of the log."""

Answered = tuple[Session, list[list[bytes]], int]
"""Requests of one client that have run, as the log shows them, and when they were read
(perf_counter_ns)."""


def log_slow(batch: Batch, services: Services) -> None:
    """Its commands over a threshold; it is committed."""
    for slow in batch.slow:
        command = REGISTRY.find(slow.request)
        fast = command is not None and "fast" in command.flags
        services.latency.record("fast-command" if fast else "command", slow.elapsed_ns)
        taken = batch.taken or batch.started
        services.slowlog.add(
            slow.session,
            redacted(slow.request),
            slow.elapsed_ns,
            {
                "queue": taken - slow.read,
                "lock": batch.started - taken,
                "execute": slow.elapsed_ns,
                "batch": batch.executed - batch.started - slow.elapsed_ns,
                "commit": batch.committed - batch.executed,
            },
        )


def keep_answered(batch: Batch, slowlog: Slowlog) -> None:
    """Keep the first of its requests that have run and are not in the log."""
    known = {id(slow.request) for slow in batch.slow if slow.elapsed_ns > slowlog.logged_ns}
    left = {connection: rest for connection, _, rest in batch.replies if rest}
    room = MOST_LOGGED
    answered: list[Answered] = []
    for connection, requests in batch.items:
        ran = len(requests) - len(left.get(connection, ())) - (connection in batch.blocked)
        kept = [one for one in requests[:ran] if id(one) not in known and _is_logged(one)][:room]
        if kept:
            shown = [shortened(redacted(request)) for request in kept]
            answered.append((connection.session, shown, connection.session.received))
            room -= len(kept)
        if not room:
            break
    batch.answered = answered


def log_answered(batch: Batch, slowlog: Slowlog) -> None:
    """Those of them that took too long; the replies are sent."""
    taken = batch.taken or batch.started
    stages = {
        "lock": batch.started - taken,
        "batch": batch.executed - batch.started,
        "commit": batch.committed - batch.executed,
        "respond": batch.replied - batch.committed,
        "write": batch.written - batch.replied,
    }
    for session, requests, read in batch.answered:
        for arguments in requests:
            slowlog.add_total(
                session, arguments, batch.written - read, {"queue": taken - read, **stages}
            )
    batch.answered = ()


def _is_logged(request: Request) -> bool:
    command = REGISTRY.find(request)
    return command is not None and "skip_slowlog" not in command.flags
