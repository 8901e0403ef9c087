"""What a command handler gets besides its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TYPE_CHECKING, Any

from tendis_py.commands.registry import REGISTRY
from tendis_py.errors import DB_INDEX, BlockedError, ReplyError, UndeclaredKeysError
from tendis_py.pieces import Pieces
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import NULL_ARRAY, Payload, Reply
from tendis_py.resp.requests import Request
from tendis_py.services.pushes import deliver
from tendis_py.services.waiters import Wait
from tendis_py.storage.database import Database
from tendis_py.storage.locks import Claim
from tendis_py.storage.transaction import Transaction

if TYPE_CHECKING:
    from tendis_py.commands.registry import Command
    from tendis_py.services import Services
    from tendis_py.services.counters import Counters
    from tendis_py.session import Session


RunUnit = Callable[[list[Request]], list[Payload]]
"""Requests that are one unit of work with the running command → their encoded replies, of which
one payload may hold several."""

Rejections = dict[tuple["Command | None", str], int]
"""Command and code of an error → how many requests were refused with it."""

Outcome = tuple[Reply, bool, int, Rejections]
"""Of a script: its reply, whether that is an error which is counted already, how many commands it
has run, and those that were refused."""

RunScript = Callable[[Request, Callable[[bool], Outcome]], Reply]
"""Request, work → its reply: work is told whether it runs where others wait for it."""

RunScripts = Callable[[list[Request], Callable[[int], list[Outcome]]], "list[Reply] | None"]
"""As ``RunScript`` for several requests, which run where others wait for them: work is told how
long a reply may be. None: they are to be run one by one."""

Call = Callable[["Command", Request, int], Payload]
"""Command, request, when that was read (perf_counter_ns) → encoded reply."""


class Context:
    """One executing thread's hands: the running command's session and database.

    ``db`` is the session's selected database within the thread's transaction; ``services`` is what
    all connections share. ``call`` runs a command as part of another: its encoded reply;
    ``run_unit`` several. ``need_slow_lane`` raises TooLargeError on any other.
    """

    __slots__ = (
        "call",
        "caller",
        "claim",
        "client",
        "counters",
        "db",
        "function_caller",
        "later",
        "locks",
        "need_slow_lane",
        "nested",
        "refusal",
        "replies",
        "run_script",
        "run_scripts",
        "run_unit",
        "services",
        "session",
        "tx",
    )

    session: Session
    client: Session
    """Who has sent the request: the session's, unless a script speaks by that."""
    db: Database
    replies: list[Payload]
    """Where the session's encoded replies are gathered."""

    def __init__(
        self,
        tx: Transaction,
        services: Services,
        counters: Counters,
        call: Call,
        run_unit: RunUnit,
        run_script: RunScript,
        run_scripts: RunScripts,
        need_slow_lane: Callable[[], None],
        *,
        locks: bool = False,
    ) -> None:
        self.tx = tx
        self.services = services
        self.counters = counters
        self.call = call
        self.run_unit = run_unit
        self.run_script = run_script
        self.run_scripts = run_scripts
        self.caller: Any = None
        """What runs scripts (commands/scripting/calls.py), once there was one."""
        self.function_caller: Any = None
        """What runs functions (commands/scripting/fcall.py), likewise."""
        self.need_slow_lane = need_slow_lane
        self.later: list[Message] = []
        """What the session is told after the reply to its request (to EXEC as a whole)."""
        self.claim: Claim | None = None
        self.locks = locks
        """Whether only the keys of ``claim`` are the batch's, and none without one; else all are
        where there is none."""
        self.refusal = ""
        """What a request is refused with whose keys are not all locked."""
        self.nested = False
        """Whether the running command is part of another, and must not wait."""

    def enter(self, session: Session) -> None:
        """Work for ``session`` from here on."""
        self.session = self.client = session
        self.db = self.tx.database(session.database)
        self.tx.touches = not session.no_touch
        self.tx.author = session

    def holds(self, keys: AbstractSet[bytes] | None) -> bool:
        """Whether the locks of ``keys`` are held; None: of all."""
        claim = self.claim
        if claim is None:
            return not self.locks or (keys is not None and not keys)
        return claim.keys is None or (keys is not None and keys <= claim.keys)

    def require(self, keys: AbstractSet[bytes] | None) -> None:
        """To be called before ``keys`` are used that the request has not named; None: any.
        UndeclaredKeysError if they are not locked: everything is run again, with all keys."""
        if not self.holds(keys):
            raise UndeclaredKeysError

    def be_busy(self, reason: str) -> None:
        """Have nobody wait for the batch's keys any more: who wants one is answered ``reason``."""
        if self.claim is not None:
            self.tx.keyspace.locks.set_busy(self.claim, reason)

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

    def wait(
        self,
        request: Request,
        keys: Iterable[bytes],
        seconds: float,
        kind: int,
        *,
        timed_out: Reply = NULL_ARRAY,
        if_gone: bool = False,
        claims: Iterable[bytes] | None = None,
        alike: Any = None,
        is_worth_it: Callable[[Context], bool] | None = None,
    ) -> Reply:
        """Have ``request``, the running one or one to the same effect, wait until one of ``keys``
        is of type ``kind`` (``if_gone``: or changes in any way), and run again then; for at most so
        many seconds (0: for ever), after which ``timed_out`` is the reply. That is it at once where
        nothing may wait. ``claims``: all keys that it uses, if they are more; ``alike``
        and ``is_worth_it``: see ``Wait``."""
        if self.nested:
            return timed_out
        command = REGISTRY.find(request)
        assert command is not None
        now = self.services.clock.monotonic()
        raise BlockedError(
            Wait(
                self.session,
                command,
                request,
                tuple((self.db.index, key) for key in dict.fromkeys(keys)),
                kind=kind,
                if_gone=if_gone,
                deadline=now + seconds if seconds else math.inf,
                timed_out=self.session.encoders[type(timed_out)](timed_out),
                claims=frozenset(keys if claims is None else claims),
                alike=alike,
                is_worth_it=is_worth_it,
            )
        )

    def failed(self, request: Request, error: ReplyError) -> ReplyError:
        """``error`` as the reply to ``request``, the running one, which has failed in part only:
        what it has written stays, as it would not if this were raised."""
        command = REGISTRY.find(request)
        assert command is not None
        self.counters.fail(command, error.code)
        return error

    def publish(self, channel: bytes, text: bytes | Pieces) -> int:
        """Have ``text`` sent to the subscribers of ``channel``, how many they are: to others once
        the batch is committed, to the own session after the reply to its request."""
        receivers, own = self.services.pubsub.publish(self.tx.outgoing, channel, text, self.client)
        self.later += own
        return receivers

    def publish_to_shard(self, channel: bytes, text: bytes | Pieces) -> int:
        """As ``publish``, to a shard channel."""
        receivers, own = self.services.pubsub.publish_to_shard(
            self.tx.outgoing, channel, text, self.client
        )
        self.later += own
        return receivers

    def database(self, index: int) -> Database:
        """Another logical database of the same transaction; ReplyError when there is none."""
        if not 0 <= index < self.services.config.databases:
            raise ReplyError(DB_INDEX)
        return self.tx.database(index)

    def select(self, index: int) -> None:
        self.db = self.database(index)
        self.session.database = index
