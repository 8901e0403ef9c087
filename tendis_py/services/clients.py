"""The registry of connected clients, and their limit. Knows no command."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tendis_py.resp.messages import Mailbox
from tendis_py.session import Session


class Clients:
    """Sessions by id. ``admit`` hands out at most ``limit()`` places."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._places = 0
        self.sessions: dict[int, Session] = {}
        self.blocked: dict[int, Session] = {}
        """Those whose next request waits for something to happen, by id."""
        self.on_leave: list[Callable[[Session], None]] = []
        """Called with a session that is no client any more, or is one as good as new (RESET)."""
        self.on_kill: list[Callable[[Session], None]] = []
        """Called with a session that another client has had closed, whatever it is at."""
        self.peak = 0
        self.accepted = 0
        self.rejected = 0

    def admit(self) -> bool:
        """Take a place for a new connection; False (and counted) when there is none."""
        with self._lock:
            self.accepted += 1
            if self._places >= self._limit():
                self.rejected += 1
                return False
            self._places += 1
            self.peak = max(self.peak, self._places)
            return True

    def release(self) -> None:
        """Give a place back that no session came to use."""
        with self._lock:
            self._places -= 1

    def add(self, session: Session) -> None:
        self.sessions[session.id] = session
        session.compile_gates()  # its user may have been changed before it was seen here

    def remove(self, session: Session) -> bool:
        """Forget a session and give its place back; False when that has been done before."""
        if self.sessions.pop(session.id, None) is None:
            return False
        self.set_blocked(session, False)
        self.release()
        self.leave(session)
        return True

    def leave(self, session: Session) -> None:
        """Have all forget the session who know it because of what it has asked for."""
        for forget in self.on_leave:
            forget(session)

    def keep_mailbox(self, session: Session, *, redirects: int = 0) -> Mailbox:
        """The mailbox of ``session``, which has one from now on; so many more have it be told in
        their place. From any thread."""
        with self._lock:
            mailbox = session.mailbox
            if mailbox is None:
                mailbox = session.mailbox = Mailbox()
                session.plain = False
            mailbox.redirects += redirects
            return mailbox

    def drop_mailbox(self, session: Session) -> None:
        """Take the mailbox from ``session`` if there is no reason any more to have one: from the
        thread that runs its requests, for its gates are compiled, or once it has left."""
        with self._lock:
            mailbox = session.mailbox
            if mailbox is not None and not (
                mailbox.monitors or mailbox.redirects or session.tracking is not None
            ):
                session.mailbox = None
                session.compile_gates()

    def set_blocked(self, session: Session, blocked: bool) -> None:
        """Whether ``session`` waits from now on, for the end of a pause."""
        session.blocked = blocked
        if blocked:
            self.blocked[session.id] = session
        else:
            self.blocked.pop(session.id, None)

    def kill(self, session: Session) -> bool:
        """Have another client's connection closed: it runs no further command, and is not listed
        from now on. False when it had gone already."""
        if not self.remove(session):
            return False
        session.closing = True
        session.peer.close()
        for interrupt in self.on_kill:
            interrupt(session)
        return True

    def all(self) -> list[Session]:
        """The connected sessions, oldest first."""
        return sorted(self.sessions.copy().values(), key=lambda session: session.id)

    def __len__(self) -> int:
        return len(self.sessions)
