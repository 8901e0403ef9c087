"""What a command handler gets besides its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from tendis_py.errors import DB_INDEX, ReplyError
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import Payload
from tendis_py.resp.requests import Request
from tendis_py.services.pushes import deliver
from tendis_py.storage.database import Database
from tendis_py.storage.transaction import Transaction

if TYPE_CHECKING:
    from tendis_py.commands.registry import Command
    from tendis_py.services import Services
    from tendis_py.session import Session


Call = Callable[["Command", Request, int], Payload]
"""Command, request, when that was read (perf_counter_ns) → encoded reply."""


class Context:
    """One executing thread's hands: the running command's session and database.

    ``db`` is the session's selected database within the thread's transaction; ``services`` is what
    all connections share. ``call`` runs a command as part of another: its encoded reply.
    """

    __slots__ = ("call", "db", "replies", "services", "session", "tx")

    session: Session
    db: Database
    replies: list[Payload]
    """Where the session's encoded replies are gathered."""

    def __init__(self, tx: Transaction, services: Services, call: Call) -> None:
        self.tx = tx
        self.services = services
        self.call = call

    def enter(self, session: Session) -> None:
        """Work for ``session`` from here on."""
        self.session = session
        self.db = self.tx.database(session.database)
        self.tx.touches = not session.no_touch
        self.tx.author = session

    def push(self, message: Message, sessions: Iterable[Session]) -> None:
        """Tell ``sessions`` of ``message``: the own one at this place among its replies, the others
        once the batch is committed."""
        others = []
        for session in sessions:
            if session is self.session:
                self.replies.append(message.payload(session.protocol))
            else:
                others.append(session)
        if others:
            self.tx.outgoing.append(partial(deliver, message, others))

    def database(self, index: int) -> Database:
        """Another logical database of the same transaction; ReplyError when there is none."""
        if not 0 <= index < self.services.config.databases:
            raise ReplyError(DB_INDEX)
        return self.tx.database(index)

    def select(self, index: int) -> None:
        self.db = self.database(index)
        self.session.database = index
