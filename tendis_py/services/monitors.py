"""MONITOR: who is shown each request once it has run, and how that looks. Knows no command.

A line is made while the keys of the request are locked, so that the lines about a key are in the
order of what happened to it. It is left in the mailboxes of those who monitor, and does not wait
for the commit: as in Redis, it tells what was run, not what came of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from tendis_py.pieces import Text, parts_of
from tendis_py.resp.requests import Request
from tendis_py.services.clients import Clients
from tendis_py.services.clock import Clock
from tendis_py.services.global_gates import GlobalGates, Reason
from tendis_py.services.pushes import leave
from tendis_py.session import Session

Witness = Callable[[Any, Any, Request, bool], None]

_SPECIAL = re.compile(rb"[^ !#-\[\]-~]")
_LETTERS = dict(zip(b'\\"\n\r\t\a\b', b'\\"nrtab', strict=True))
_CODES = [
    b"\\%c" % _LETTERS[byte] if byte in _LETTERS else b"\\x%02x" % byte for byte in range(256)
]


class Monitors:
    """``attend`` has a witness be told of every command that has run, or no longer. Any thread may
    call any method."""

    def __init__(
        self,
        clients: Clients,
        gates: GlobalGates,
        attend: Callable[[Witness, bool], None],
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._gates = gates
        self._attend = attend
        self._time_ns = clock.time_ns
        self._lock = threading.Lock()
        self._sessions: dict[int, Session] = {}
        self._witness: Witness | None = None
        clients.on_leave.append(self.remove)

    @property
    def is_any(self) -> bool:
        """Whether somebody monitors."""
        return bool(self._sessions)

    def add(self, session: Session, witness: Witness) -> bool:
        """Show to ``session``, whose own thread this is, what ``witness`` hands to ``show``. False
        when that is so already."""
        mailbox = self._clients.keep_mailbox(session)
        if mailbox.monitors:
            return False
        mailbox.monitors = True
        session.compile_gates()
        with self._lock:
            self._sessions[session.id] = session
            self._witness = witness
            self._look()
        if session.id not in self._clients.sessions:  # it was killed meanwhile
            self.remove(session)
        return True

    def remove(self, session: Session) -> None:
        mailbox = session.mailbox
        if mailbox is not None and mailbox.monitors:
            mailbox.monitors = False
            self._clients.drop_mailbox(session)
            with self._lock:
                self._sessions.pop(session.id, None)
                self._look()

    def _look(self) -> None:
        """Have each request come by here, or no longer."""
        self._gates.set(Reason.MONITOR, bool(self._sessions))
        if self._witness is not None:
            self._attend(self._witness, bool(self._sessions))

    def show(self, session: Session, request: Request) -> None:
        """Tell that ``session`` has just run ``request``; nothing of it is secret."""
        with self._lock:
            line = _line(self._time_ns() // 1000, session, request)
            for one in self._sessions.values():
                if one.reply_mode == "on" or (one is session and one.reply_mode == "skip"):
                    leave(one, (line, line))


def _line(now: int, session: Session, request: Request) -> bytes:
    """The simple string that tells of a request, at ``now`` (Unix microseconds)."""
    address = session.address.encode("utf-8", "surrogateescape") or b"lua"
    if session.unix:
        address = b"unix:" + address.removesuffix(b":0")
    head = b"+%d.%06d [%d %b]" % (*divmod(now, 1_000_000), session.database, address)
    return b" ".join((head, *map(_quoted, request))) + b"\r\n"


def _quoted(argument: Text) -> bytes:
    """As ``sdscatrepr`` does it."""
    parts = [_SPECIAL.sub(_escape, part) for part in parts_of(argument)]
    return b'"%b"' % b"".join(parts)


def _escape(match: re.Match[bytes]) -> bytes:
    return _CODES[match[0][0]]
