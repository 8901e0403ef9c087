"""Unblocking clients: their requests are tried again once what they wait for has changed.

That is done in the batch of whoever has made the change, first come first served, where it has the
locks; whoever else waits is run again by its own reactor. Knows commands and sessions, not sockets,
queues or threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter_ns
from typing import Any

from tendis_py.commands.context import Context
from tendis_py.commands.permission import TOPLEVEL, check
from tendis_py.commands.registry import Command
from tendis_py.errors import BlockedError, ReplyError, TooLargeError
from tendis_py.pieces import joined
from tendis_py.resp.replies import NULL_ARRAY, Payload
from tendis_py.resp.requests import Request
from tendis_py.services.counters import Counters
from tendis_py.services.waiters import Wait
from tendis_py.storage.changes import Change, Place
from tendis_py.storage.codec import STREAM
from tendis_py.storage.transaction import Transaction

MOST_SERVED = 100
"""So many waiting clients are served because of one change, at once: some milliseconds. The others
are run again by their own reactors."""

Call = Callable[[Command, Request, int], Payload]


class Unblocking:
    """One dispatcher's, whose ``context`` and ``counters`` these are, and which runs one request by
    ``call``."""

    def __init__(self, context: Context, counters: Counters, call: Call) -> None:
        self._context = context
        self._counters = counters
        self._call = call
        self._services = context.services
        self._waiters = context.services.waiters

    def add(self, wait: Wait) -> Wait | Payload:
        """The running request waits, with what is returned; or what to answer, since its time was
        up while it was tried again."""
        notifications = self._services.notifications
        if notifications.active:
            notifications.observe(self._context, wait.command, wait.request, 0, NULL_ARRAY)
        self.end_unit()
        again = self._waiters.sessions.get(wait.session)
        if again is None:
            self._waiters.add(wait)
        elif not self._waiters.give_back(again):
            assert again.ending is not None
            return again.ending
        return again or wait

    def end_unit(self) -> None:
        """The unit of work is complete: serve those who wait for what it has changed."""
        change = self._context.tx.end_unit()
        if change is not None and self._waiters.sessions:
            self._serve(change)

    def _serve(self, change: Change) -> None:
        context, waiters = self._context, self._waiters
        session, replies, later = context.session, context.replies, context.later
        changes = deque([change])
        tries = 0
        left: set[Place] = set()
        """Where the first in line is to be run again: those behind it come after it."""
        while changes:
            change = changes.popleft()
            for place in waiters.waited_for(change.concerned, change.databases):
                if place in left:
                    continue
                in_vain: set[Any] = set()
                for wait in self._waits_for(place):
                    if wait.alike is not None and wait.alike in in_vain:
                        continue
                    if tries < MOST_SERVED and context.holds(wait.claims):
                        tries += 1
                        if not self._try_again(wait, changes):
                            in_vain.add(wait.alike)
                    else:
                        waiters.run_again(wait)
                        if wait.kind != STREAM:
                            left.add(place)
                            break
        context.replies, context.later = replies, later
        context.enter(session)

    def nudge(self, change: Change) -> None:
        """Have those tried again who wait for what background work has changed."""
        waiters = self._waiters
        for place in waiters.waited_for(change.concerned, change.databases):
            for wait in self._waits_for(place):
                waiters.run_again(wait)

    def _waits_for(self, place: Place) -> Iterator[Wait]:
        """Those to be tried because of what ``place`` holds, which that may change."""
        tried: set[Wait] = set()
        while waits := self._waiters.next_for(place, self._kind_of(place), tried):
            for wait in waits:
                tried.add(wait)
                if wait.if_gone or self._kind_of(place) == wait.kind:
                    yield wait

    def _kind_of(self, place: Place) -> int | None:
        index, key = place
        row = self._context.tx.database(index).peek(key)
        return None if row is None else row.type

    def _try_again(self, wait: Wait, changes: deque[Change]) -> bool:
        """Run what waits, and answer it once that is committed; what it has changed is added to
        ``changes``. False if that was in vain."""
        context, waiters = self._context, self._waiters
        tx = context.tx
        if not waiters.take(wait):
            return True
        served = False
        context.enter(wait.session)
        if wait.is_worth_it is not None and not wait.is_worth_it(context):
            self._give_back(wait)
            return False
        context.replies, context.later = [], []
        error = check(context, wait.command, wait.request, TOPLEVEL)
        try:
            if error is not None:
                payload = wait.session.encoders[ReplyError](error)
                self._counters.reject(wait.command, error.code)
            else:
                payload = self._call(wait.command, wait.request, perf_counter_ns())
        except BlockedError:
            self._give_back(wait)
        except TooLargeError:
            self._give_back(wait)
            waiters.run_again(wait)
        else:
            if context.later:
                protocol = wait.session.protocol
                payload = joined([payload, *(one.payload(protocol) for one in context.later)])
            wait.session.commands += 1
            self._counters.processed += 1
            tx.outgoing.append(partial(self._answer_committed, tx, wait, payload))
            tx.amends.append(partial(self._give_back, wait))
            served = True
        if (change := tx.end_unit()) is not None:
            changes.append(change)
        return served

    def _answer_committed(self, tx: Transaction, wait: Wait, payload: Payload) -> None:
        if tx.failure:
            payload = wait.session.encoders[ReplyError](ReplyError(tx.failure))
        self._answer(wait, payload)

    def _answer(self, wait: Wait, payload: Payload) -> None:
        self._waiters.end(wait)
        peer = wait.session.peer
        peer.home.answer(peer, payload)

    def _give_back(self, wait: Wait) -> None:
        if not self._waiters.give_back(wait):
            assert wait.ending is not None
            self._answer(wait, wait.ending)
