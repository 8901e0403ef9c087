"""Dispatch: from a request to its reply. One Dispatcher per executing thread.

Looks the command up, tests what must be tested, calls the handler, encodes, measures. It knows
commands and sessions, not sockets, queues or threads. ``_run_plain`` is the hottest loop of the
server: a GET takes 0.7 µs in it, of which 0.2 µs are the measuring. ``call`` does the same for one
request whose command is known; ``tests/test_call.py`` holds the two equal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from itertools import groupby, repeat
from operator import itemgetter, length_hint
from time import perf_counter_ns
from typing import TypeVar

from tendis_py.commands.context import Context, Outcome, Rejections
from tendis_py.commands.registry import REGISTRY, Command, Lane
from tendis_py.errors import (
    INTERNAL,
    BlockedError,
    CrossProtocolError,
    HeldError,
    ReplyError,
    StorageError,
    TooLargeError,
    UndeclaredKeysError,
    UnreadableError,
    WriteFailedError,
    exec_aborted,
    unknown_command,
    wrong_arity,
)
from tendis_py.gates import PASS, gates_of
from tendis_py.pieces import Pieces
from tendis_py.resp.replies import QUEUED, Payload, Reply
from tendis_py.resp.requests import Request, request_bytes
from tendis_py.runs import LARGE_REPLY, Answer, C, Counted, Item, Runs, SlowCommand, Trial, all_of
from tendis_py.services import Services
from tendis_py.services.counters import Counters, Named
from tendis_py.services.global_gates import ALL_CLOSED
from tendis_py.services.histogram import LINEAR, SHIFT, SUM, WAIT, tail_bucket
from tendis_py.services.waiters import Wait
from tendis_py.session import Session
from tendis_py.storage.events import noted
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.storage.transaction import Transaction as StorageTransaction
from tendis_py.unblocking import Unblocking

log = logging.getLogger(__name__)

T = TypeVar("T")

SHORTEST_RUN = 4
"""Pipelined requests of one command that are worth taking at once."""

MOST_SCRIPTS = 64
"""Scripts that are taken at once: all of them begin again if one is not for the fast lane."""

_table = REGISTRY.table
_name_of = itemgetter(0)


class Stop(Enum):
    """Why ``run`` took fewer requests than it was given. TURN: a reply was large, others have a
    turn now. SLOW: the next one is for the slow lane. HELD: it may not run yet. BLOCKED: it has
    run, and waits."""

    TURN = "turn"
    SLOW = "slow"
    HELD = "held"
    BLOCKED = "blocked"


class Dispatcher:
    """Runs requests on ``tx``, and counts with its ``counters``. Not thread-safe.

    ``defers``: stop before a command of the slow lane instead of running it. ``locks``: as of
    ``Context``.
    """

    def __init__(
        self,
        tx: StorageTransaction,
        services: Services,
        counters: Counters,
        *,
        defers: bool = False,
        locks: bool = False,
    ) -> None:
        self.context = Context(
            tx,
            services,
            counters,
            self.call,
            self._run_unit,
            self._run_script,
            self._run_scripts,
            self._need_slow_lane,
            locks=locks,
        )
        self.services = services
        self.defers = defers
        self.stop = Stop.TURN
        """Why ``run`` stopped, if it did before the last request."""
        self.waits: Wait | None = None
        """What the request waits with that was BLOCKED."""
        self._aside = 0
        """Of the requests that ``run`` has taken: how many did not run, having been refused or
        queued, less what EXEC has run besides itself."""
        self.counters = counters
        self.slow: list[SlowCommand] = []
        self.unblocking = Unblocking(self.context, counters, self.call)
        self._end_unit = self.unblocking.end_unit
        self.ran: list[Named] = []
        """The commands that ``_run_plain`` has run, until ``take_ran``."""
        self._note_ran = self.ran.append
        self.runs = Runs(self.context, counters, self.slow, self._end_unit)
        self._global_gates = services.global_gates
        self._trial: Trial | None = None
        """How to count what has run of a unit that may have to be begun again."""
        self._notes_keys = False
        """Whether HOTKEYS is told of each command."""
        self._read = 0
        """When the requests were read that ``run`` runs; 0: it runs none."""

    def look_closely(self, wants: bool) -> None:
        """Whether HOTKEYS is told of each of the requests that follow, which then run one by
        one."""
        self._notes_keys = wants
        self._choose_gates()

    def refuse(self, reason: str) -> None:
        """Refuse with ``reason``, if it is one, requests that need keys which their batch has not
        locked."""
        self.context.refusal = reason
        self._choose_gates()

    def _choose_gates(self) -> None:
        closely = self._notes_keys or self.context.refusal
        self._global_gates = ALL_CLOSED if closely else self.services.global_gates

    def replace_transaction(self) -> StorageTransaction:
        """Go on with a fresh transaction, which is returned; the old one is another's now."""
        old = self.context.tx
        tx = self.context.tx = StorageTransaction(old.keyspace, self.counters)
        tx.fast_rows = old.fast_rows
        return tx

    def run(
        self,
        session: Session,
        requests: list[Request],
        replies: list[Payload],
        read: int | None = None,
    ) -> int:
        """Run ``requests`` in order and append their encoded replies.

        ``read`` is when they came in (perf_counter_ns; None: just now). Returns how many were
        taken: fewer than all when the session closes, or for the reason that ``stop`` tells.
        """
        if read is None:
            read = perf_counter_ns()
        self.context.enter(session)
        self.context.replies = replies
        self._read = read
        self.stop = Stop.TURN
        taken = self._aside = 0
        while taken < len(requests) and not session.closing:
            rest = requests[taken:] if taken else requests
            if self._global_gates.one_by_one or not session.plain:
                run = self._run_gated
            elif len(rest) < SHORTEST_RUN:
                run = self._run_plain
            else:
                run = self._run_pipeline
            count = run(session, rest, replies, read)
            taken += count
            if count == 0 or self.stop is not Stop.TURN:
                break
            if replies and len(replies[-1]) > LARGE_REPLY:
                break
        self._read = 0
        ran = taken - self._aside
        session.commands += ran
        self.counters.processed += ran
        return taken

    def note_apart(self, read: int) -> None:
        """What is in ``ran`` was read at ``read``, and not with its batch."""
        self.runs.ran += [(command, 1, read) for command in self.ran]
        self.ran.clear()

    def take_ran(self) -> list[Named]:
        """What is in ``ran``."""
        ran = self.ran.copy()
        self.ran.clear()
        return ran

    def run_together(
        self, items: list[Item[C]], replies: list[Answer[C]], read: int
    ) -> list[Item[C]]:
        """As ``Runs.together``, unless each request has to be looked at alone."""
        if self._global_gates.one_by_one:
            return items
        return self.runs.together(items, replies, read)

    def _run_pipeline(
        self, session: Session, requests: list[Request], replies: list[Payload], read: int
    ) -> int:
        """As ``_run_plain``, taking runs of requests of one command at once where the command can:
        a pipelined GET then costs 0.4 µs instead of 1.2."""
        taken = 0
        name = requests[0][0]
        if all_of(name, requests):
            runs: Iterable[tuple[bytes, Iterable[Request]]] = ((name, requests),)
        else:
            runs = groupby(requests, _name_of)
        for name, group in runs:
            run = list(group)
            command = _table.get(name)
            payloads = None
            if command is not None and command.run is not None and len(run) >= SHORTEST_RUN:
                payloads = self.runs.take(command, [(session, run)], read)
            if payloads is None:
                count = self._run_plain(session, run, replies, read)
                if count < len(run) or command is None or command.special:
                    return taken + count
            else:
                replies += payloads
                count = len(run)
            taken += count
            if session.closing or len(replies[-1]) > LARGE_REPLY:
                break
        return taken

    def _run_plain(
        self, session: Session, requests: list[Request], replies: list[Payload], read: int
    ) -> int:
        """Run requests of a session without gates, until one may have changed that."""
        context = self.context
        undo = context.tx.undo
        interest = context.tx.keyspace.interest
        append = replies.append
        ran = self._note_ran
        all_buckets = self.counters.buckets
        slow_ns = self.services.slowlog.threshold_ns
        command: Command | None = None
        left = iter(requests)
        put_off = 0
        started = perf_counter_ns()
        for request in left:
            special = False
            command = None
            try:
                command = _table.get(request[0]) or _lookup(request)
                if not command.low <= len(request) <= command.high:
                    special = True
                    container, command = command, None
                    command = container.select(request)
                    if len(request) not in command.fits:
                        raise wrong_arity(command.name)
                    if command.lane_of(request) is Lane.SLOW and self.defers:
                        self.stop = Stop.SLOW
                        put_off = 1
                        break
                reply = command.handler(context, request)
                payload = session.encoders[type(reply)](reply)
            except TooLargeError as error:
                context.tx.rollback_command()
                self._put_off(session, error)
                put_off = 1
                break
            except BlockedError as blocked:
                assert command is not None
                ending = self._block(blocked.wait)
                if ending is None:
                    put_off = 1
                    break
                payload = ending
            except Exception as error:
                payload = self._failed(session, command, request, error)
                if command is None or len(request) not in command.fits:
                    append(payload)
                    if session.closing:
                        break
                    continue
            append(payload)
            if undo:
                if interest.active or len(undo) > ITEMS_AT_ONCE:
                    self._end_unit()
                else:
                    undo.clear()
            now = perf_counter_ns()
            elapsed = now - started
            step = elapsed >> SHIFT
            buckets = all_buckets[command]
            buckets[step if step < LINEAR else tail_bucket(step)] += 1
            buckets[SUM] += elapsed
            buckets[WAIT] += started - read
            ran(command)
            started = now
            if elapsed > slow_ns and "skip_slowlog" not in command.flags:
                self.slow.append(SlowCommand(session, request, read, elapsed))
            if special or len(payload) > LARGE_REPLY:
                break
        else:
            session.last_command = "NULL" if command is None else command.name
            return len(requests)
        session.last_command = "NULL" if command is None else command.name
        return len(requests) - length_hint(left) - put_off

    def call(self, command: Command, request: Request, read: int) -> Payload:
        """Run ``request`` for the context's session, its ``command`` and arity being right, and
        encode the reply, which may be an error. What it wrote can still be taken back.

        TooLargeError when it is for the slow lane; nothing has happened. BlockedError when it
        waits.
        """
        context = self.context
        session = context.session
        if (
            self.defers
            and len(request) > command.high  # seldom
            and command.lane_of(request) is Lane.SLOW
        ):
            raise TooLargeError
        services = self.services
        mark = len(context.tx.undo)
        started = perf_counter_ns()
        try:
            reply = command.handler(context, request)
            payload = session.encoders[type(reply)](reply)
            for observe in services.observers:
                observe(context, command, request, mark, reply)
        except TooLargeError:
            context.tx.rollback_to(mark)
            raise
        except BlockedError:
            for attend in services.witnesses:
                attend(context, command, request, True)
            raise
        except Exception as error:
            notes = noted(context.tx, mark)
            payload = self._failed(session, command, request, error, mark)
            services.notifications.fire_after_failure(context, notes)
        for attend in services.witnesses:
            attend(context, command, request, False)
        elapsed = perf_counter_ns() - started
        counted = session, command, request, read, started - read, elapsed
        if self._trial is None:
            self._count((counted,))
        else:
            self._trial.append(counted)
        if self._notes_keys:
            self._note_keys(command, request, elapsed, payload)
        return payload

    def _note_keys(
        self, command: Command, request: Request, elapsed: int, payload: Payload
    ) -> None:
        keys = command.keys_in(request)
        if keys:
            note = self.services.hotkeys.note
            net_bytes = request_bytes(request)
            if isinstance(payload, (bytes, Pieces)):  # else it is a value of Lua's
                net_bytes += len(payload)
            if self._trial is None:
                note(keys, elapsed, net_bytes)
            else:
                self._trial.append(partial(note, keys, elapsed, net_bytes))

    def _count(self, trial: Iterable[Callable[[], None] | Counted]) -> None:
        """Count commands that have run, one after the other."""
        all_buckets = self.counters.buckets
        slow_ns = self.services.slowlog.threshold_ns
        for counted in trial:
            if type(counted) is not tuple:
                counted()  # type: ignore[operator]
                continue
            session, command, request, read, waited, elapsed = counted
            step = elapsed >> SHIFT
            buckets = all_buckets[command]
            buckets[step if step < LINEAR else tail_bucket(step)] += 1
            buckets[SUM] += elapsed
            buckets[WAIT] += waited
            if read == self._read:
                self._note_ran(command)
            else:
                self.runs.ran.append((command, 1, read))
            if elapsed > slow_ns and "skip_slowlog" not in command.flags:
                self.slow.append(SlowCommand(session, request, read, elapsed))

    def _run_gated(
        self, session: Session, requests: list[Request], replies: list[Payload], read: int
    ) -> int:
        """Run requests that have to pass gates, or whose replies may be off, until one may have
        changed that."""
        closed = self._global_gates.closed
        if session.outdated:
            session.compile_gates()
        if session.plain and not closed:
            return self._run_plain(session, requests, replies, read)
        if session.screened and not closed:
            count = self._run_screened(session, requests, replies, read)
            if count or self.stop is not Stop.TURN:
                return count
        if session.only_queues and not closed:
            count = self._run_transaction(session, requests, replies, read)
            if count:
                return count
        for taken, request in enumerate(requests):
            if not self._run_through_gates(session, request, replies, read):
                return taken
            if (
                session.closing
                or ((session.plain or session.screened) and not self._global_gates.closed)
                or (replies and len(replies[-1]) > LARGE_REPLY)
            ):
                return taken + 1
        return len(requests)

    def _run_screened(
        self, session: Session, requests: list[Request], replies: list[Payload], read: int
    ) -> int:
        """Run requests as those of a plain session, up to one that its user may not run."""
        permits = session.user.permits
        count = len(requests) if permits is None else permits.leading(requests)
        if not count:
            return 0
        permitted = requests if count == len(requests) else requests[:count]
        if count < SHORTEST_RUN or self._global_gates.one_by_one:
            return self._run_plain(session, permitted, replies, read)
        return self._run_pipeline(session, permitted, replies, read)

    def _run_transaction(
        self, session: Session, requests: list[Request], replies: list[Payload], read: int
    ) -> int:
        """Queue requests that have no gate but that, and run EXEC where it follows: how many were
        taken. A transaction that comes whole is done with in one step."""
        queued = _queue_first(session, requests)
        replies += repeat(QUEUED, queued)
        self._aside += queued
        if queued == len(requests) or len(requests[queued]) != 1:
            return queued
        command = _table.get(requests[queued][0])
        if command is None or command.name != "exec":
            return queued
        try:
            payload = self.call(command, requests[queued], read)
        except TooLargeError as error:
            if not queued:
                self._put_off(session, error)
            return queued
        session.last_command = command.name
        self._end_unit()
        self._reply(session, payload, replies)
        return queued + 1

    def _run_through_gates(
        self, session: Session, request: Request, replies: list[Payload], read: int
    ) -> bool:
        """Run or refuse one request; False when it has to come again."""
        if session.mailbox is not None:
            _tell(session, replies)
        session.begin_request()
        session.last_command = "NULL"
        command = None
        try:
            command = _lookup(request).select(request)
            session.last_command = command.name
            if len(request) not in command.fits:
                raise wrong_arity(command.name)
            for gate in gates_of(session):
                value = gate(self.context, command, request)
                if value is not PASS:
                    payload = session.encoders[type(value)](value)
                    self._aside += 1
                    break
            else:
                payload = self.call(command, request, read)
                self._end_unit()
        except ReplyError as error:
            payload = self._reject(session, command, request, error)
        except BlockedError as blocked:
            ending = self._block(blocked.wait)
            if ending is None:
                self._say_later(session, replies)
                return False
            payload = ending
        except (HeldError, TooLargeError) as stop:
            if isinstance(stop, HeldError):
                self.stop = Stop.HELD
            else:
                self._put_off(session, stop)
            session.put_off_request()
            self.context.later.clear()
            return False
        self._reply(session, payload, replies)
        return True

    def _put_off(self, session: Session, error: TooLargeError) -> None:
        """The request is for the slow lane, or to have another turn there."""
        self.stop = Stop.SLOW
        session.needs_all_keys = isinstance(error, UndeclaredKeysError)

    def _reply(self, session: Session, payload: Payload, replies: list[Payload]) -> None:
        """Answer a request that has run or was refused, and say what comes after the reply."""
        if session.end_request():
            replies.append(payload)
        self._say_later(session, replies)
        if session.mailbox is not None and not session.closing:
            _tell(session, replies)

    def _say_later(self, session: Session, replies: list[Payload]) -> None:
        """What the session is told after the reply to its request, or once that waits."""
        later = self.context.later
        if later:
            replies += [message.payload(session.protocol) for message in later]
            later.clear()

    def _reject(
        self, session: Session, command: Command | None, request: Request, error: ReplyError
    ) -> Payload:
        """The reply to a request that never ran; none, and the end of the connection, to one of
        HTTP."""
        self._aside += 1
        if isinstance(error, CrossProtocolError):
            self.services.cross_protocol.abort(session)
            return b""
        if session.transaction is not None:
            session.transaction.failed = True
        if command is not None and command.name == "exec":
            session.end_transaction()
            self.services.watches.unwatch(session)
            self.services.monitors.show(session, request)
            error = exec_aborted(error)
        self.counters.reject(command, error.code)
        return session.encoders[ReplyError](error)

    def _need_slow_lane(self) -> None:
        if self.defers:
            raise TooLargeError

    def _run_unit(self, requests: list[Request]) -> list[Payload]:
        """Run requests whose arity is right as one unit with the running command: their encoded
        replies, of which one payload may hold several. TooLargeError: nothing has happened."""
        payloads: list[Payload] = []
        transaction = self.context.session.transaction
        has_script = transaction is not None and transaction.apart
        self._within(lambda _: self._run_all(requests, payloads), has_script=has_script)
        self._aside -= len(requests)
        return payloads

    def _run_all(self, requests: list[Request], payloads: list[Payload]) -> None:
        services, session = self.services, self.context.session
        for cut in self.context.tx.pace.cuts(len(requests)):
            for name, group in groupby(requests[cut], _name_of):
                run = list(group)
                command = _table.get(name) or _lookup(run[0])
                if len(run) >= SHORTEST_RUN and not (
                    services.observers or services.witnesses or self._notes_keys
                ):
                    together = self._take_within(command, session, run)
                    if together is not None:
                        payloads += together
                        continue
                for request in run:
                    payloads.append(self.call(command.select(request), request, session.received))

    def _run_script(self, request: Request, work: Callable[[bool], Outcome]) -> Reply:
        """As one unit with the running command, ``request``, do what it says: ``work``, which runs
        commands by ``call`` and takes back nothing of them if it fails. TooLargeError: nothing has
        happened."""
        nested = self.context.nested
        outcome = work(self.defers) if nested else self._within(work, has_script=True)
        reply, is_told, calls, rejections = outcome
        if self._trial is not None:
            self._trial.append(partial(self._count_script, request, *outcome))
        elif rejections or isinstance(reply, ReplyError):
            self._count_script(request, reply, is_told, calls, rejections)
        else:
            self._aside -= calls
        return reply

    def _run_scripts(
        self, requests: list[Request], work: Callable[[int], list[Outcome]]
    ) -> list[Reply] | None:
        """As ``_run_script`` for all of ``requests`` as one unit; ``work`` is told how long each
        reply may be. None, or TooLargeError, if they are to be run one by one: nothing has
        happened."""
        context = self.context
        if (
            context.nested
            or not self.defers
            or len(requests) > MOST_SCRIPTS
            or context.tx.keyspace.interest.active
        ):
            return None
        longest = LARGE_REPLY // 2 // len(requests)
        outcomes = self._within(lambda _: work(longest), has_script=True)
        for request, outcome in zip(requests, outcomes, strict=True):
            self._count_script(request, *outcome)
        return [outcome[0] for outcome in outcomes]

    def _count_script(
        self, request: Request, reply: Reply, is_told: bool, calls: int, rejections: Rejections
    ) -> None:
        self._aside -= calls
        for (refused, code), times in rejections.items():
            self.counters.reject(refused, code, times)
        if isinstance(reply, ReplyError):
            command = REGISTRY.find(request)
            assert command is not None
            self.counters.fail(command, reply.code, is_told=is_told)

    def _within(self, work: Callable[[bool], T], *, has_script: bool) -> T:
        """Do ``work``, in which commands run as a part of the running one, and which is told
        whether that is on the fast lane. If it has to be begun again, by TooLargeError, nothing has
        happened: off the fast lane that is only so if it has a script, which may want more keys."""
        context, counters = self.context, self.counters
        session, tx = context.session, context.tx
        database, said = session.database, len(context.replies)
        outgoing, amends = len(tx.outgoing), len(tx.amends)
        hits, misses = counters.hits, counters.misses
        may_fail = self.defers or (has_script and not context.holds(None))
        trial = self._trial = [] if may_fail else None
        context.nested = True
        try:
            value = work(self.defers)
        except TooLargeError:
            del context.replies[said:], tx.outgoing[outgoing:], tx.amends[amends:]
            counters.hits, counters.misses = hits, misses
            session.database = database
            context.enter(session)
            raise
        finally:
            context.nested = False
            self._trial = None
        if trial:
            self._count(trial)
        return value

    def _take_within(
        self, command: Command, session: Session, run: list[Request]
    ) -> list[Payload] | None:
        """As ``Runs.take_within``, of requests that need not all be alike."""
        fits = command.fits
        if command.run is None or not all(size in fits for size in set(map(len, run))):
            return None
        if command.run_takes_one_key and len({request[1] for request in run}) > 1:
            return None
        return self.runs.take_within(command, [(session, run)], session.received, self._trial)

    def _block(self, wait: Wait) -> Payload | None:
        """The running request waits: None, or what to answer since its time was up while it was
        tried again."""
        outcome = self.unblocking.add(wait)
        if not isinstance(outcome, Wait):
            return outcome
        self.stop = Stop.BLOCKED
        self.waits = outcome
        return None

    def _failed(
        self,
        session: Session,
        command: Command | None,
        request: Request,
        error: Exception,
        mark: int = 0,
    ) -> Payload:
        """The reply to a request that raised; what was written since ``mark`` is taken back."""
        self.context.tx.rollback_to(mark)
        if isinstance(error, WriteFailedError):  # of rows that are written ahead
            error = ReplyError(self.services.disk.failed(error))
        elif isinstance(error, StorageError):
            if not isinstance(error, UnreadableError):  # it is logged
                log.error("%r failed: %s", request[0][:64], error)
            error = ReplyError(f"ERR storage failure: {error}")
        elif not isinstance(error, ReplyError):
            log.error("internal error in %r", request[0][:64], exc_info=error)
            error = ReplyError(INTERNAL)
        if command is None or len(request) not in command.fits:
            return self._reject(session, command, request, error)
        if self._trial is None:
            self.counters.fail(command, error.code)
        else:
            self._trial.append(partial(self.counters.fail, command, error.code))
        return session.encoders[ReplyError](error)


def _tell(session: Session, replies: list[Payload]) -> None:
    """What the session is to be told comes between two of its replies."""
    mailbox = session.mailbox
    if mailbox is not None and (unasked := mailbox.payload(session.protocol)):
        replies.append(unasked)


def _queue_first(session: Session, requests: list[Request]) -> int:
    """Queue requests for EXEC up to one that has to be looked at alone; how many."""
    transaction = session.transaction
    assert transaction is not None
    queued = arguments = 0
    may_write, is_slow, apart = transaction.may_write, transaction.is_slow, transaction.apart
    last = None
    for request in requests:
        command = _table.get(request[0])
        size = len(request)
        if command is None or not command.low <= size <= command.high or not command.is_queued:
            break
        last = command
        queued += 1
        arguments += size
        may_write |= command.may_write
        is_slow |= command.runs_once
        apart |= command.apart
    if last is not None:
        session.last_command = last.name
    if not (transaction.failed or session.stale):  # else EXEC will run nothing
        transaction.requests += requests[:queued]
        transaction.arguments += arguments
        transaction.may_write, transaction.is_slow = may_write, is_slow
        transaction.apart = apart
    return queued


def _lookup(request: Request) -> Command:
    command = REGISTRY.lookup(request[0])
    if command is None:
        raise unknown_command(request)
    return command
