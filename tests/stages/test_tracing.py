"""Which requests of a batch are traced, and what is said of them. No threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tendis_py.services.tracing import Trace, TracedRequest, Tracing
from tendis_py.session import Session
from tendis_py.stages.tracing import Sampler, trace
from tendis_py.stages.work import Batch
from tests.support.dispatching import NoPeer

Lines = Sequence[str]


class Client:
    def __init__(self, session: Session) -> None:
        self.session = session


def tracing(ratio: float) -> Tracing:
    made = Tracing()
    made.begin(lambda trace: None, ratio)
    return made


def batch_of(*clients: tuple[Lines, bytes, int]) -> Batch:
    """A batch that has run: of each client what it asked, what it is answered, and how many of its
    requests have not run."""
    items: list[Any] = []
    replies: list[Any] = []
    for lines, payload, left in clients:
        session = Session(NoPeer(), unix=True)
        connection = Client(session)
        requests = [line.encode().split() for line in lines]
        items.append((connection, requests))
        replies.append((connection, payload, requests[len(requests) - left :] if left else None))
    batch = Batch(None, items, 0, 0)  # type: ignore[arg-type]
    batch.replies = replies
    return batch


def picked(batch: Batch, ratio: float = 1.0) -> list[tuple[str, str]]:
    found = Sampler(tracing(ratio)).pick(batch)
    return [(one.command, one.error) for one in found]


def test_each_request_with_its_error() -> None:
    payload = b"+OK\r\n-WRONGTYPE Operation\r\n$3\r\n-no\r\n"
    batch = batch_of(
        (["SET k v", "lpop k", "CONFIG GET x"], payload, 0), (["NOSUCH"], b"-ERR unknown\r\n", 0)
    )
    assert picked(batch) == [
        *(("SET", ""), ("LPOP", "WRONGTYPE"), ("CONFIG GET", "")),
        ("", "ERR"),
    ]


def test_pushes_are_no_replies() -> None:
    batch = batch_of((["GET a", "GET b"], b"+x\r\n>2\r\n$1\r\na\r\n$1\r\nb\r\n-ERR y\r\n", 0))
    assert picked(batch) == [("GET", ""), ("GET", "ERR")]


def test_without_replies_there_are_no_errors() -> None:
    assert picked(batch_of((["GET a", "GET b"], b"", 0))) == [("GET", ""), ("GET", "")]
    assert picked(batch_of((["GET a"], b"", 0))) == [("GET", "")]


def test_what_has_not_run_comes_another_time() -> None:
    batch = batch_of((["GET a", "KEYS *", "GET b"], b"$-1\r\n", 2))
    assert picked(batch) == [("GET", "")]


def test_who_waits_for_others_is_left_out() -> None:
    batch = batch_of((["GET a", "BLPOP l 0"], b"$-1\r\n", 0))
    batch.blocked = {batch.items[0][0]: None}  # type: ignore[dict-item]
    assert picked(batch) == [("GET", "")]


@pytest.mark.parametrize("ratio", [0.5, 0.1, 0.01])
def test_a_part_of_the_requests_is_picked_by_chance(ratio: float) -> None:
    sampler = Sampler(tracing(ratio), Random(7))
    batch = batch_of((["GET a"] * 3, b"", 0), (["SET a b"] * 7, b"", 0))
    found = Counter(one.command for _ in range(20_000) for one in sampler.pick(batch))
    assert found["GET"] == pytest.approx(60_000 * ratio, rel=0.1)
    assert found["SET"] == pytest.approx(140_000 * ratio, rel=0.1)


def test_the_ratio_may_change() -> None:
    ours = tracing(1e-9)
    sampler = Sampler(ours, Random(7))
    batch = batch_of((["GET a"], b"", 0))
    assert not sampler.pick(batch)
    ours.set_ratio(1)
    assert len(sampler.pick(batch)) == 1
    ours.set_ratio(0)
    assert (ours.active, sampler.pick(batch)) == (False, ())


def trace_of(stamps: dict[str, int], received: int = 10) -> Trace:
    batch = batch_of((["GET a"], b"$-1\r\n", 0))
    for name, value in stamps.items():
        setattr(batch, name, value)
    return trace(batch, TracedRequest("GET", 0, "127.0.0.1:1", received, 1, ""))


def names(trace: Trace) -> list[str]:
    return [stage for stage, _, _ in trace.stages]


IN_THE_REACTOR = {
    "read": 10,
    "taken": 20,
    "started": 20,
    "executed": 30,
    "committed": 40,
    "replied": 50,
    "written": 60,
}


def test_stages_of_what_a_reactor_runs() -> None:
    found = trace_of(IN_THE_REACTOR)
    assert names(found) == ["parse", "execute", "commit", "respond", "write"]


def test_stages_of_what_waits_everywhere() -> None:
    found = trace_of({**IN_THE_REACTOR, "queued": 12, "taken": 15, "logged": 35}, received=5)
    assert names(found) == [
        *("pending", "parse", "queue", "lock", "execute", "commit", "fsync", "respond", "write")
    ]
    assert [until - since for _, since, until in found.stages] == [5, 2, 3, 5, 10, 5, 5, 10, 10]


@pytest.mark.parametrize("more", [{}, {"queued": 12, "taken": 15}, {"logged": 35}])
def test_stages_follow_each_other_without_a_gap(more: dict[str, int]) -> None:
    stages = trace_of({**IN_THE_REACTOR, **more}).stages
    ends = [until for _, _, until in stages]
    assert [since for _, since, _ in stages] == [10, *ends[:-1]]
    assert ends[-1] == 60
