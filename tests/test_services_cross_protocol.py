"""The guard against cross-protocol scripting: who is closed, and how often that is told."""

from __future__ import annotations

import pytest

from tendis_py.services.cross_protocol import WARNING_SECONDS, CrossProtocolGuard
from tendis_py.session import Session


class FakePeer:
    """A connection that counts how often it is aborted."""

    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def __init__(self) -> None:
        self.aborted = 0

    def close(self) -> None:
        raise AssertionError("it is to be aborted")

    def abort(self) -> None:
        self.aborted += 1


def test_every_connection_is_closed_and_one_a_minute_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 1000.0
    guard = CrossProtocolGuard(lambda: now)
    for number in range(10):
        peer = FakePeer()
        session = Session(peer, address=f"192.0.2.{number}:80")
        guard.abort(session)
        assert session.closing
        assert peer.aborted == 1
        now += WARNING_SECONDS / 4
    told = [record.getMessage() for record in caplog.records]
    assert [message.split()[-2] for message in told] == [
        "192.0.2.0:80",
        "192.0.2.4:80",
        "192.0.2.8:80",
    ]
