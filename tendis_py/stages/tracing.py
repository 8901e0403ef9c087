"""Which requests of a batch are traced, and what became of them when it is answered.

A request is picked once its batch has run, with the odds that ``otel-sample-ratio`` gives it; its
time is made of the batch's stamps, as the figures of the stages are. One that waits for others
(BLPOP) is left out: that time is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random

from tendis_py.commands.registry import REGISTRY
from tendis_py.pieces import head
from tendis_py.resp.replies import Payload, is_push, split_replies
from tendis_py.resp.requests import Request
from tendis_py.services.tracing import Span, Trace, TracedRequest, Tracing
from tendis_py.session import Session
from tendis_py.stages.work import Batch

LONGEST_ERROR = 256
LONGEST_READ = 1 << 16
"""Replies of a pipeline with more bytes are not searched for the error among them."""


class Sampler:
    """One executing thread's. Between two requests that it picks it leaves out as many as chance
    would: it counts down rather than cast dice for each."""

    def __init__(self, tracing: Tracing, random: Random | None = None) -> None:
        self._tracing = tracing
        self._random = random or Random()
        self._ratio = 0.0
        self._left_out = 0

    def pick(self, batch: Batch) -> Sequence[TracedRequest]:
        """Those of a batch that has run, and whose replies are complete."""
        ratio = self._tracing.ratio
        if ratio != self._ratio:
            self._ratio = ratio
            self._left_out = self._gap()
        if not ratio:
            return ()
        if self._left_out >= batch.requests:
            self._left_out -= batch.requests
            return ()
        return list(self._picked(batch))

    def _gap(self) -> int:
        if self._ratio in (0, 1):
            return 0
        # so many misses in a row, each with the odds 1 - ratio
        return int(math.log(1 - self._random.random()) / math.log1p(-self._ratio))

    def _picked(self, batch: Batch) -> Iterator[TracedRequest]:
        answers = {connection: (payload, rest) for connection, payload, rest in batch.replies}
        for connection, requests in batch.items:
            payload, rest = answers.get(connection, (b"", requests))
            done = len(requests) - len(rest or ()) - (connection in batch.blocked)
            while self._left_out < len(requests):
                index = self._left_out
                if index < done:
                    yield _traced(connection.session, requests, index, _error(payload, index, done))
                self._left_out += 1 + self._gap()
            self._left_out -= len(requests)


def _traced(session: Session, requests: Sequence[Request], index: int, error: str) -> TracedRequest:
    command = REGISTRY.find(requests[index])
    return TracedRequest(
        command=command.name.replace("|", " ").upper() if command is not None else "",
        database=session.database,
        address=session.address,
        received=session.received,
        pipelined=len(requests),
        error=error,
    )


def _error(payload: Payload, index: int, done: int) -> str:
    """The first word of the error that a request was answered, "" for another reply, or where that
    can't be told."""
    if done == 1:
        replies = [head(payload, LONGEST_ERROR)]
    elif len(payload) <= LONGEST_READ:
        replies = [reply for reply in split_replies(bytes(payload)) if not is_push(reply)]
    else:
        return ""
    if len(replies) != done or not replies[index].startswith(b"-"):
        return ""
    return replies[index][1:].split(None, 1)[0].decode("ascii", "replace")


def trace(batch: Batch, request: TracedRequest) -> Trace:
    """What became of ``request``, its batch being answered."""
    return Trace(
        request=request,
        lane=batch.lane,
        pool=batch.pool,
        requests=batch.requests,
        reads_ns=batch.engine_ns,
        stages=list(_spans(batch, request.received)),
    )


def _spans(batch: Batch, received: int) -> Iterator[Span]:
    """One after the other, without a gap."""
    taken = batch.taken or batch.started
    logged = batch.logged or batch.committed
    if received < batch.read:
        yield "pending", received, batch.read
    yield "parse", batch.read, batch.queued or taken
    if batch.queued:
        yield "queue", batch.queued, taken
    if taken < batch.started:
        yield "lock", taken, batch.started
    yield "execute", batch.started, batch.executed
    yield "commit", batch.executed, logged
    if batch.logged:
        yield "fsync", logged, batch.committed
    yield "respond", batch.committed, batch.replied
    yield "write", batch.replied, batch.written
