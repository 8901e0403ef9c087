"""Keyspace events that commands fire: as a ``Stage`` in this process publishes them, and as a
client of the real server receives them, to be compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tendis_py.storage.changes import Release
from tests.support.changes import Stage
from tests.support.resp import Aggregate, RawClient, decode
from tests.support.servers import ServerProcess
from tests.support.transcript import Case

Message = tuple[bytes, bytes]
"""Channel, message."""


class EventStage:
    """A ``Stage`` on which keys expire when somebody meets them, or by ``sweep``."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        self._messages: list[Message] = []
        pubsub = self.stage.services.pubsub
        pubsub.heard_from = dict.fromkeys(pubsub.heard_from, 1)
        pubsub.publish = self._publish  # type: ignore[assignment]

    def _publish(
        self, outgoing: list[Release], channel: bytes, text: bytes, me: object = None
    ) -> tuple[int, list[Any]]:
        outgoing.append(partial(self._messages.append, (channel, text)))
        return 0, []

    def run(self, request: list[bytes], connection: int = 1) -> list[Message]:
        self._messages = []
        self.stage.run([request], connection)
        return self._messages

    def sweep(self) -> list[Message]:
        self._messages = []
        self.stage.sweep()
        return self._messages

    def play(self, case: Case) -> list[list[Message]]:
        """What each line of a case publishes, on a flushed stage."""
        self.stage.begin_case()
        return [self.run(line.arguments, line.connection) for line in case]


class Subscriber:
    """A client of a server that has subscribed to all events."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        client.command("PSUBSCRIBE", "__key*__:*")
        self.look()

    def look(self) -> list[Message]:
        """What has come since the last look."""
        self._client.send(b"*1\r\n$4\r\nPING\r\n")
        messages = []
        while (reply := self._client.reply()).startswith(b">"):
            push = decode(reply)
            assert isinstance(push, Aggregate)
            messages.append((push.items[2], push.items[3]))
        return messages


@contextlib.contextmanager
def subscribing(server: ServerProcess) -> Iterator[Subscriber]:
    with server.client(protocol=3) as client:
        yield Subscriber(client)


def watch_events(case: Case, server: ServerProcess, subscriber: Subscriber) -> list[list[Message]]:
    """As ``EventStage.play``, of a server that goes on not to sweep, if it does not."""
    with contextlib.ExitStack() as stack:
        clients = {1: stack.enter_context(server.client())}
        assert clients[1].command("FLUSHALL") == b"+OK\r\n"
        subscriber.look()
        found = []
        for line in case:
            if line.connection not in clients:
                clients[line.connection] = stack.enter_context(server.client())
            if [word.upper() for word in line.arguments[:2]] != [b"DEBUG", b"SET-ACTIVE-EXPIRE"]:
                clients[line.connection].command(*line.arguments)
            found.append(subscriber.look())
        return found
