"""Pushes: messages to any number of sessions, and mailboxes of single ones, from any thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tendis_py.resp.messages import Letter, Message
from tendis_py.session import Outlet, Peer, Session

Group = tuple[Outlet, Sequence[Peer]]
"""An I/O thread, and connections that it serves."""


def deliver(message: Message, sessions: Iterable[Session]) -> None:
    """Have ``message`` sent to ``sessions``: one delivery for each I/O thread that serves some of
    them. A session with requests under way gets it after the replies to those; one that has gone
    gets nothing."""
    send(message, grouped(sessions))


def grouped(sessions: Iterable[Session]) -> Sequence[Group]:
    """The connections of ``sessions`` by I/O thread. Messages that are sent one after the other to
    the same groups, the very objects, may go out together."""
    by_outlet: dict[Outlet, list[Peer]] = {}
    for session in sessions:
        peer = session.peer
        by_outlet.setdefault(peer.home, []).append(peer)
    return list(by_outlet.items())


def send(message: Message, groups: Sequence[Group]) -> None:
    """As ``deliver``."""
    for outlet, peers in groups:
        outlet.deliver(message, peers)


def leave(session: Session, letter: Letter) -> None:
    """Have ``letter`` be told to ``session`` if it has a mailbox: at once, or in between two of
    its requests when some are under way."""
    mailbox = session.mailbox
    if mailbox is not None and mailbox.put(letter):
        deliver(mailbox, (session,))
