"""What connections are told unasked: one value for many of them, encoded once a protocol."""

from __future__ import annotations

from typing import Any

from tendis_py.pieces import Text, joined
from tendis_py.resp.replies import ENCODERS, Payload, Push

_PART = 8
"""Bytes that go with each string."""


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
