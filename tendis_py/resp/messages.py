"""What connections are told unasked: one value for many of them, encoded once a protocol; or all
that waits to be told to one."""

from __future__ import annotations

import re
from collections import deque

from tendis_py.pieces import joined
from tendis_py.resp.replies import ENCODERS, Payload, Push

Letter = tuple[Payload, Payload]
"""What a client is told in RESP2, and in RESP3; empty: nothing."""

_UNASKED = re.compile(rb">|\*3\r\n\$7\r\nmessage\r\n|\+\d+\.\d{6} \[")


def is_unasked(reply: bytes) -> bool:
    """Whether that was told and does not answer anything: a push, a message in RESP2, where a
    client that gets any is asked nothing with such a reply, or a line of MONITOR."""
    return _UNASKED.match(reply) is not None


class Message:
    """A ``push`` in RESP3, an array in RESP2. Any thread may ask for its payload: at worst it is
    made twice."""

    __slots__ = ("_payloads", "_push")

    def __init__(self, push: Push) -> None:
        self._push = push
        self._payloads: dict[int, Payload] = {}

    def payload(self, protocol: int) -> Payload:
        """The message on the wire in RESP ``protocol``."""
        found = self._payloads.get(protocol)
        if found is None:
            found = self._payloads[protocol] = ENCODERS[protocol][Push](self._push)
        return found


class Mailbox(Message):
    """What one client is to be told, in order, and among its replies: whoever gets there first
    takes it out, the thread that runs the client's requests, between two of them, or the reactor
    when none is under way. Any thread may call any method."""

    __slots__ = ("_letters", "_posted", "monitors", "redirects")

    def __init__(self) -> None:
        self._letters: deque[Letter] = deque()
        self._posted = False
        self.monitors = False
        """Whether the client is shown all requests (MONITOR)."""
        self.redirects = 0
        """How many clients have it be told in their place (CLIENT TRACKING REDIRECT)."""

    def put(self, letter: Letter) -> bool:
        """Leave ``letter`` here; whether it has to be seen to that somebody looks."""
        self._letters.append(letter)
        posted, self._posted = self._posted, True
        return not posted

    def payload(self, protocol: int) -> Payload:
        """All that is here, which is then not here any more."""
        # Cleared before letters are taken: one put meanwhile has somebody look once too often.
        self._posted = False
        letters = self._letters
        if not letters:
            return b""
        return joined([letters.popleft()[protocol == 3] for _ in range(len(letters))])
