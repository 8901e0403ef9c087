"""How much commands change, and of which keys: as a keyspace in this process tells it, and as the
real server does, to be compared. Knows no types."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tendis_py.config import Config
from tendis_py.dispatch import Dispatcher, Stop
from tendis_py.services import Services
from tendis_py.session import Session
from tendis_py.storage.changes import Change, Release
from tendis_py.storage.codec import NAMESPACE_SIZE, VERSION_SIZE, decode_held, split_deadline_key
from tendis_py.storage.engine import Engine
from tendis_py.storage.expiry import Expiry
from tendis_py.storage.families import ELEMENT_FAMILIES, EXPIRES, META
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction
from tendis_py.types.hash.fields import remove_due
from tests.support.dispatching import NoPeer
from tests.support.resp import Aggregate, RawClient, decode
from tests.support.servers import ServerProcess
from tests.support.transcript import Case

DATABASES = 16
_COUNT = re.compile(rb"rdb_changes_since_last_save:(-?\d+)")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a command, or of several: by how much the count of changes has moved, and the
    user keys that have changed; ``rewritten`` are those with a row that was written, or is another
    now, which only a ``Stage`` knows."""

    edits: int
    keys: frozenset[bytes]
    rewritten: frozenset[bytes] = frozenset()


class Watcher:
    """A connection to a server by which to see what others' commands change."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._count = 0
        self.look()

    def look(self) -> Told:
        """What has changed since the last look."""
        self._client.send(b"*2\r\n$4\r\nINFO\r\n$11\r\npersistence\r\n")
        keys: set[bytes] = set()
        while (reply := self._client.reply()).startswith(b">"):
            push = decode(reply)
            assert isinstance(push, Aggregate)
            assert push.items[0] == b"invalidate", push
            keys.update(push.items[1] or [])
        found = _COUNT.search(reply)
        assert found is not None, reply
        count = int(found[1])
        edits, self._count = count - self._count, count
        return Told(edits, frozenset(keys))


@contextlib.contextmanager
def watching(server: ServerProcess, *, keys: bool = False) -> Iterator[Watcher]:
    """With ``keys``, which only the real server can, ``look`` tells those that it takes for
    modified."""
    with server.client(protocol=3) as client:
        if keys:
            assert client.command("CLIENT", "TRACKING", "ON", "BCAST") == b"+OK\r\n"
        yield Watcher(client)


def watch(case: Case, server: ServerProcess, watcher: Watcher) -> list[Told]:
    """Play a case on a flushed server; what is told of each line."""
    with contextlib.ExitStack() as stack:
        clients = {1: stack.enter_context(server.client())}
        assert clients[1].command("FLUSHALL") == b"+OK\r\n"
        watcher.look()
        told = []
        for line in case:
            if line.connection not in clients:
                clients[line.connection] = stack.enter_context(server.client())
            clients[line.connection].command(*line.arguments)
            told.append(watcher.look())
        return told


class Stage:
    """Commands run on a keyspace of its own directly, at the real time.

    ``unheard``: elements and deadlines that were written of keys that their unit of work does not
    tell of, as column family and row key (without version). Times of a consumer of a stream are
    left out: it was seen, and nothing has changed.
    """

    def __init__(self, folder: Path) -> None:
        config = Config()
        config.enable_debug_command = "yes"
        self.engine = Engine(folder)
        keyspace = Keyspace(self.engine, databases=DATABASES, cache_bytes=1 << 20, limits=config)
        self.services = services = Services(config, keyspace)
        self._counters = services.stats.new_counters()
        self._tx = Transaction(keyspace, self._counters)
        self._dispatcher = Dispatcher(self._tx, services, self._counters)
        self._sessions: dict[int, Session] = {}
        self._heard: dict[bytes, bytes | None] = {}
        """Meta keys of the batch, with their rows before it."""
        self._with_elements: set[bytes] = set()
        """Those of which elements were written."""
        self.unheard: list[tuple[int, bytes]] = []
        self._end_unit = self._tx.end_unit
        self._tx.end_unit = self._check_unit  # type: ignore[method-assign]
        keyspace.interest.listen(self._listen)

    def run(self, requests: list[list[bytes]], connection: int = 1) -> Told:
        """Run ``requests``, which are one batch."""
        if connection not in self._sessions:
            self._sessions[connection] = Session(NoPeer(), unix=True)
        session = self._sessions[connection]
        self._heard.clear()
        self._with_elements.clear()
        before = self._counters.changes
        self._tx.begin(time.time_ns() // 1_000_000)
        taken = self._dispatcher.run(session, requests, [])
        if self._dispatcher.stop is Stop.BLOCKED:
            self.services.waiters.leave(session)
        else:
            assert taken == len(requests) or session.closing
        self._tx.commit()
        self._tx.release()
        edits = self._counters.changes - before
        changed = {key for key, row in self._heard.items() if self._row(key) != row}
        return Told(edits, _user_keys(self._heard), _user_keys(changed | self._with_elements))

    def take_unheard(self) -> list[tuple[int, bytes]]:
        unheard, self.unheard = self.unheard, []
        return unheard

    def play(self, case: Case) -> list[Told]:
        """As ``watch``."""
        self.begin_case()
        return [self.run([line.arguments], line.connection) for line in case]

    def begin_case(self) -> None:
        """All connections are new, and the databases empty."""
        self._sessions.clear()
        self.run([[b"FLUSHALL"]])

    def sweep(self) -> None:
        """Delete what is due now."""
        expiry = Expiry(self._tx.keyspace, remove_due)
        while due := expiry.due(time.time_ns() // 1_000_000):
            self._tx.begin(time.time_ns() // 1_000_000)
            expiry.expire(self._tx, due)
            self.services.notifications.fire_noted(self._tx)
            self._tx.end_unit()
            self._tx.commit()
            self._tx.release()

    def _listen(self, change: Change, outgoing: list[Release]) -> None:
        for index, user_key in change.keys:
            key = self._tx.database(index).prefix + user_key
            self._heard.setdefault(key, self._row(key))

    def _row(self, key: bytes) -> bytes | None:
        return self.engine.get(META, key)

    def _check_unit(self) -> None:
        tx = self._tx
        written = list(_keys_of(tx.undo))
        changed = {key for overlay, key in written if overlay is tx.meta}
        owners = {version: key for key in changed for version in self._versions(key)}
        for overlay, key in written:
            if overlay is tx.families[EXPIRES] and split_deadline_key(key)[2] not in changed:
                self.unheard.append((EXPIRES, key))
            elif overlay is tx.ranges:
                self._check_element(key[0], key[1], owners)
            for family in ELEMENT_FAMILIES:
                if overlay is tx.families[family]:
                    self._check_element(family, key, owners)
        self._end_unit()

    def _check_element(self, family: int, key: bytes, owners: dict[bytes, bytes]) -> None:
        owner, element = owners.get(key[:VERSION_SIZE]), key[VERSION_SIZE:]
        if owner is not None:
            self._with_elements.add(owner)
        elif not element.startswith(b"c\0"):
            self.unheard.append((family, element))

    def _versions(self, key: bytes) -> Iterator[bytes]:
        """Of the elements of ``key`` before the batch, and now."""
        raw = self._row(key)
        for row in self._tx.meta.get(key), None if raw is None else decode_held(raw):
            version: int = getattr(row, "version", 0)
            if version:
                yield version.to_bytes(VERSION_SIZE, "big")


def _user_keys(meta_keys: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(key[NAMESPACE_SIZE:] for key in meta_keys)


def _keys_of(undo: list[Any]) -> Iterator[tuple[object, Any]]:
    for overlay, key, *_ in undo:
        for one in key if isinstance(key, list) else [key]:
            yield overlay, one
