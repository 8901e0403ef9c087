"""Which connections to other servers are kept, for how long, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from tendis_py.services.clock import ManualClock
from tendis_py.services.links import KEPT_SECONDS, MOST_KEPT, Links, Target
from tendis_py.session import Session
from tendis_py.stages.connection import GONE


@dataclass(eq=False)
class FakeLink:
    """Notes what is done with it."""

    done: list[str] = field(default_factory=list)

    def connect(self, host: bytes, port: int, seconds: float) -> None:
        self.done.append(f"connect {host.decode()} {port}")

    def send(self, parts: Iterable[bytes], seconds: float) -> None:
        raise AssertionError("nothing is said here")

    def line(self, seconds: float) -> bytes:
        raise AssertionError("nothing is heard here")

    def abandon(self) -> None:
        self.done.append("abandon")

    def close(self) -> None:
        self.done.append("close")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def links(clock: ManualClock) -> Links:
    links = Links(clock.monotonic)
    links.new = FakeLink
    return links


@pytest.fixture
def session() -> Session:
    return Session(GONE)


def target(number: int = 0, *, credentials: bytes = b"") -> Target:
    return Target(b"host", number, 0, credentials)


def test_it_is_kept_for_the_same_target(links: Links, session: Session) -> None:
    assert links.take(session, target()) is None
    link = links.open(session, target(), 1.0)
    assert isinstance(link, FakeLink)
    links.keep(session, target())
    assert links.take(session, target(1)) is None
    assert links.take(session, target(credentials=b"x")) is None
    assert links.take(session, target()) is link
    assert links.take(Session(GONE), target()) is None, "it is in use"
    links.drop(session)
    assert link.done == ["connect host 0", "close"]
    assert len(links) == 0


def test_it_is_closed_when_nobody_has_used_it_for_long(
    links: Links, session: Session, clock: ManualClock
) -> None:
    link = links.open(session, target(), 1.0)
    links.keep(session, target())
    clock.advance(KEPT_SECONDS - 1)
    links.close_idle()
    assert links.take(session, target()) is link
    links.keep(session, target())
    clock.advance(KEPT_SECONDS - 1)
    links.close_idle()
    assert len(links) == 1
    clock.advance(1)
    links.close_idle()
    assert len(links) == 0
    assert isinstance(link, FakeLink)
    assert link.done[-1] == "close"


def test_no_more_than_some_are_kept(links: Links, session: Session) -> None:
    for number in range(MOST_KEPT + 5):
        links.open(session, target(number), 1.0)
        links.keep(session, target(number))
    assert len(links) == MOST_KEPT
    assert links.take(session, target(4)) is None, "the oldest go first"
    assert links.take(session, target(5)) is not None


def test_who_is_killed_abandons_what_is_theirs(links: Links, session: Session) -> None:
    own, others = (links.open(who, target(), 1.0) for who in (session, Session(GONE)))
    links.abandon(session)
    links.abandon(Session(GONE))
    assert isinstance(own, FakeLink)
    assert isinstance(others, FakeLink)
    assert own.done[1:] == ["abandon"]
    assert others.done[1:] == []


def test_at_the_end_all_are_given_up(links: Links, session: Session) -> None:
    idle = links.open(session, target(), 1.0)
    links.keep(session, target())
    used = links.open(session, target(1), 1.0)
    links.close()
    late = links.open(Session(GONE), target(2), 1.0)
    done = [link.done for link in (idle, used, late) if isinstance(link, FakeLink)]
    assert [what[-1] for what in done[:2]] == ["close", "abandon"]
    assert done[2][0] == "abandon"
    links.keep(session, target(1))
    assert done[1][-1] == "close"
