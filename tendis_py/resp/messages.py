"""What connections are told unasked: one value for many of them, encoded once a protocol; or all
that waits to be told to one."""

from __future__ import annotations

from collections import deque
from typing import Any

from tendis_py.pieces import Text, joined
from tendis_py.resp.replies import ENCODERS, Payload, Push

_PART = 8
"""Bytes that go with each string."""
Letter = tuple[Payload, Payload]
"""What a client is told in RESP2, and in RESP3; empty: nothing."""


class Message:
    """A ``push`` in RESP3, an array in RESP2. Any thread may ask for its payload: at worst it is
    made twice."""

    __slots__ = ("_payloads", "_push")

    def __init__(self, push: Push) -> None:
        self._push = push
        self._payloads: dict[int, Payload] = {}

    @property
    def size(self) -> int:
        """About how many bytes it has on the wire."""
        return sum(_PART + len(part) for part in self._push if isinstance(part, Text))

    def payload(self, protocol: int) -> Payload:
        """The message on the wire in RESP ``protocol``."""
        found = self._payloads.get(protocol)
        if found is None:
            found = self._payloads[protocol] = ENCODERS[protocol][Push](self._push)
        return found

    @property
    def unsent(self) -> int:
        """As ``size``, of what a client has not got yet."""
        return self.size

    def is_for(self, session: Any) -> bool:
        """Whether it still concerns a session that it was sent to: asked when it is its turn."""
        return True


class Messages(Message):
    """Several for the same sessions, as one: each is for a session if the first is."""

    __slots__ = ("_messages",)

    def __init__(self, messages: list[Message]) -> None:
        super().__init__(Push())
        self._messages = messages

    def payload(self, protocol: int) -> Payload:
        found = self._payloads.get(protocol)
        if found is None:
            payloads = [message.payload(protocol) for message in self._messages]
            found = self._payloads[protocol] = joined(payloads)
        return found

    def is_for(self, session: Any) -> bool:
        return self._messages[0].is_for(session)


class Mailbox(Message):
    """What one client is to be told, in order, and among its replies: whoever gets there first
    takes it out, the thread that runs the client's requests, between two of them, or the reactor
    when none is under way. Any thread may call any method."""

    __slots__ = ("_bytes", "_letters", "_posted", "monitors", "redirects")

    def __init__(self) -> None:
        self._letters: deque[Letter] = deque()
        self._posted = False
        self._bytes = 0
        self.monitors = False
        """Whether the client is shown all requests (MONITOR)."""
        self.redirects = 0
        """How many clients have it be told in their place (CLIENT TRACKING REDIRECT)."""

    @property
    def size(self) -> int:
        """Nothing of it counts as published."""
        return 0

    @property
    def unsent(self) -> int:
        return self._bytes

    def put(self, letter: Letter) -> bool:
        """Leave ``letter`` here; whether it has to be seen to that somebody looks."""
        self._letters.append(letter)
        self._bytes += len(letter[1])
        posted, self._posted = self._posted, True
        return not posted

    def payload(self, protocol: int) -> Payload:
        """All that is here, which is then not here any more."""
        # Cleared before letters are taken: one put meanwhile has somebody look once too often.
        self._posted = False
        self._bytes = 0
        letters = self._letters
        if not letters:
            return b""
        return joined([letters.popleft()[protocol == 3] for _ in range(len(letters))])
