"""Commands run on a keyspace directly: no sockets, no stages, no threads."""

from __future__ import annotations

from tendis_py.dispatch import Dispatcher
from tendis_py.services import Services
from tendis_py.session import Session
from tendis_py.storage.transaction import Transaction

NOW = 1_000_000


class NoPeer:
    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def close(self) -> None:
        raise AssertionError("nobody closes it")


class Thread:
    """One executing thread, without the thread."""

    def __init__(self, services: Services) -> None:
        counters = services.stats.new_counters()
        self.tx = Transaction(services.keyspace, counters)
        self.dispatcher = Dispatcher(self.tx, services, counters)
        self.session = Session(NoPeer(), unix=True)

    def run(self, *lines: str, now: int = NOW) -> bytes:
        """The replies to commands of words without spaces, at ``now`` in Unix milliseconds."""
        return self.run_requests([line.encode().split() for line in lines], now)

    def run_requests(self, requests: list[list[bytes]], now: int = NOW) -> bytes:
        """The replies to ``requests``, which are one batch."""
        replies: list[bytes] = []
        self.tx.begin(now)
        taken = self.dispatcher.run(self.session, requests, replies)
        assert taken == len(requests)
        self.tx.commit()
        return b"".join(replies)
