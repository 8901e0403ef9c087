"""A keyspace in a folder of its own, that tests may look into, close and open again."""

from __future__ import annotations

from pathlib import Path

from tendis_py.storage.codec import StringRow, is_alive, split_deadline_key, stored_deadline
from tendis_py.storage.database import Database
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import EXPIRES, GARBAGE, META
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

DATABASES = 3
NOW = 1_000_000


class LargeRow(StringRow):
    """A row whose elements are elsewhere, as a large collection's are."""

    __slots__ = ("version",)

    def __init__(self, version: int, expire_at: int = 0) -> None:
        super().__init__(b"", expire_at)
        self.version = version  # type: ignore[misc]

    def with_expiry(self, expire_at: int) -> LargeRow:
        return LargeRow(self.version, expire_at)


class Store:
    """An open keyspace with one transaction, its clock at NOW."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.engine = Engine(self.folder)
        self.keyspace = Keyspace(self.engine, databases=DATABASES, cache_bytes=1 << 20)
        self.tx = self.transaction()

    def transaction(self, now: int = NOW) -> Transaction:
        tx = Transaction(self.keyspace)
        tx.begin(now)
        return tx

    @property
    def db(self) -> Database:
        return self.tx.database(0)

    def reopen(self) -> None:
        """Close and open again; what was not committed is lost. To RocksDB, which does not flush
        when it closes, this is a crash."""
        self.engine.close()
        self.open()

    def forget(self) -> None:
        """Empty the row cache, so that reads go to the disk."""
        self.keyspace.cache.clear()

    def put(self, key: bytes, value: bytes = b"v", expire_at: int = 0, database: int = 0) -> None:
        db = self.tx.database(database)
        db.put(key, StringRow(value, expire_at), db.peek(key))

    def delete(self, key: bytes, database: int = 0) -> None:
        db = self.tx.database(database)
        row = db.peek(key)
        assert row is not None
        db.delete(key, row)

    def value(self, key: bytes, database: int = 0) -> bytes | None:
        row = self.tx.database(database).peek(key)
        return None if row is None else row.value

    def commit(self, now: int = NOW) -> None:
        """Commit as after a batch, and begin the next one."""
        self.tx.undo.clear()
        self.tx.commit()
        self.tx.begin(now)

    # What is on the disk

    def meta(self) -> list[bytes]:
        return list(self.engine.keys(META, b"", None))

    def expires(self) -> list[tuple[int, bytes]]:
        """Deadline and meta key of each entry of the expiry index."""
        entries = map(split_deadline_key, self.engine.keys(EXPIRES, b"", None))
        return [(deadline, meta_key) for deadline, _, meta_key in entries]

    @property
    def is_empty(self) -> bool:
        """No rows of any database, flushed or not, and nothing in the expiry index."""
        return not self.meta() and not self.expires()

    def garbage(self) -> list[int]:
        return [int.from_bytes(raw, "big") for raw in self.engine.keys(GARBAGE, b"", None)]

    def check(self) -> None:
        """The figures and the expiry index agree with the rows of every database."""
        indexed = set(self.expires())
        for index, namespace in enumerate(self.keyspace.namespaces):
            prefix = namespace.to_bytes(4, "big")
            rows = dict(self.engine.items(META, prefix, (namespace + 1).to_bytes(4, "big")))
            deadlines = {
                (stored_deadline(raw), key)
                for key, raw in rows.items()
                if not is_alive(raw, 1 << 64)
            }
            size = self.keyspace.size(index)
            assert (size.keys, size.expires) == (len(rows), len(deadlines))
            assert {entry for entry in indexed if entry[1].startswith(prefix)} == deadlines
