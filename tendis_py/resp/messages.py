"""What connections are told unasked: one value for many of them, encoded once a protocol."""

from __future__ import annotations

from tendis_py.resp.replies import ENCODERS, Payload, Push


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
