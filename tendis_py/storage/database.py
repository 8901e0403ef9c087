"""One logical database, as one thread's transaction sees it: its keys in order, and how many.

Iterations see what the transaction has written, committed or not. Whoever writes holds the locks of
the keys.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from tendis_py.storage.bulk import BulkRows
from tendis_py.storage.codec import NAMESPACE_SIZE, is_alive, stored, stored_type, upper_bound
from tendis_py.storage.families import META
from tendis_py.storage.keyspace import Counts
from tendis_py.storage.random_key import random_key

NO_COUNTS = Counts()

PAGE_BYTES = 1 << 20
_FEW_KEYS = 256
_RANDOM_DRAWS = 16


class Database(BulkRows):
    __slots__ = ()

    def counts(self) -> Counts:
        """Number of keys, and of keys with a deadline, this batch's writes included."""
        committed = self.tx.keyspace.counts.get(self.namespace, NO_COUNTS)
        pending = self.tx.pending.get(self.namespace, NO_COUNTS)
        return Counts(committed.keys + pending.keys, committed.expires + pending.expires)

    def rows(self, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(user key, raw meta row) in key order, from ``start`` on, of the keys that begin with
        ``prefix`` and have not expired. A consistent picture of the moment of the call."""
        lower = self.prefix + max(prefix, start)
        now = self.tx.now
        for meta_key, raw in self.tx.rows(META, lower, upper_bound(self.prefix + prefix)):
            if is_alive(raw, now):
                yield meta_key[NAMESPACE_SIZE:], raw

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """User keys in order. Reads no values unless some key of the database has a deadline."""
        if self.counts().expires:
            for key, _ in self.rows(prefix):
                yield key
            return
        lower = self.prefix + prefix
        for meta_key in self.tx.row_keys(META, lower, upper_bound(lower)):
            yield meta_key[NAMESPACE_SIZE:]

    def page(
        self, prefix: bytes, start: bytes, limit: int, type_: int | None = None
    ) -> tuple[list[bytes], bytes | None]:
        """User keys in order that begin with ``prefix``, from ``start`` on, and the key to go on
        from (None at the end).

        At most ``limit`` rows are looked at, and about PAGE_BYTES read, so fewer keys may come
        back: expired ones are left out, and those not of type ``type_`` where it is given.
        """
        lower, upper = self.prefix + max(prefix, start), upper_bound(self.prefix + prefix)
        if type_ is None and not self.counts().expires:
            found = islice(self.tx.row_keys(META, lower, upper), limit + 1)
            keys = [key[NAMESPACE_SIZE:] for key in found]
            return keys[:limit], keys[limit] if len(keys) > limit else None
        keys = []
        read = 0
        for meta_key, raw in self.tx.rows(META, lower, upper):
            if limit == 0 or read > PAGE_BYTES:
                return keys, meta_key[NAMESPACE_SIZE:]
            limit -= 1
            read += len(raw)
            if is_alive(raw, self.tx.now) and (type_ is None or stored_type(raw) == type_):
                keys.append(meta_key[NAMESPACE_SIZE:])
        return keys, None

    def random_key(self) -> bytes | None:
        """Some key that has not expired: any of few with the same chance, one of many as
        ``random_key`` draws it. While nothing may expire and all keys have, one of those."""
        if self.counts().keys <= _FEW_KEYS:
            alive = list(self.keys())
            return random.choice(alive) if alive else self._expired_key()
        settled = self.tx.settle()
        own = [] if settled else [key for key in self._overlay if key.startswith(self.prefix)]
        for _ in range(_RANDOM_DRAWS):
            meta_key = self._draw(own)
            if meta_key is not None and self._exists(meta_key):
                return meta_key[NAMESPACE_SIZE:]
        return next((key for key, _ in self.rows()), None) or self._expired_key()

    def _draw(self, own: list[bytes]) -> bytes | None:
        """The meta key of some row on disk, or of one of ``own``, which the batch has written or
        deleted: each with its chance."""
        on_disk = self.tx.keyspace.counts.get(self.namespace, NO_COUNTS).keys
        if random.randrange(on_disk + len(own)) >= on_disk:
            return random.choice(own)
        return random_key(self.tx.keyspace.engine, META, self.prefix, self.tx.meet_gap)

    def _exists(self, meta_key: bytes) -> bool:
        what = self._overlay.get(meta_key)
        raw = self.tx.keyspace.engine.get(META, meta_key) if what is None else stored(what)
        return raw is not None and is_alive(raw, self.tx.now)

    def _expired_key(self) -> bytes | None:
        """Some key, where all have expired and none may be deleted; else None."""
        if self.tx.keyspace.may_expire():
            return None
        meta_key = random_key(self.tx.keyspace.engine, META, self.prefix, self.tx.meet_gap)
        return meta_key and meta_key[NAMESPACE_SIZE:]
