"""Rows by key: many keys of a logical database at once, at a fraction of the cost of each alone.

All of it is the hot path of runs. What no cache has is read by list, with the GIL released.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import compress, repeat
from operator import add
from typing import Any

from tendis_py.storage.codec import ABSENT, NAMESPACE_SIZE, AbsentRow, Held, decode_held, held
from tendis_py.storage.families import META
from tendis_py.storage.key_rows import MISSING, USE_MASK, KeyRows

_BARE = {bytes}
_BARE_OR_ABSENT = frozenset((bytes, AbsentRow))


class BulkRows(KeyRows):
    __slots__ = ()

    def find_all_bare(self, keys: list[bytes]) -> list[bytes] | None:
        """As ``find_bare`` for each key; None, and nothing has happened, unless all are bare and at
        hand."""
        meta_keys = self._meta_keys(keys)
        found = self._at_hand(meta_keys)
        if set(map(type, found)) != _BARE:
            return None
        self._counters.hits += len(keys)
        if self.tx.touches:
            self._touch_all(meta_keys)
        return found  # type: ignore[return-value]

    def find_many(self, keys: list[bytes]) -> list[Held]:
        """As ``find`` for each key: a string as its bytes where it is held bare, ABSENT for no such
        key. What the cache does not have is read by list, with the GIL released."""
        meta_keys = self._meta_keys(keys)
        found = self._completed(meta_keys, self._at_hand(meta_keys))
        if not _BARE_OR_ABSENT.issuperset(map(type, found)):
            return [held(self.find(key) or ABSENT) for key in keys]
        absent = found.count(ABSENT)
        self._counters.hits += len(keys) - absent
        self._counters.misses += absent
        if absent and self.tx.keyspace.notes_events:
            for key, what in zip(keys, found, strict=True):
                if what is ABSENT:
                    self.note("m", "keymiss", key)
        if self.tx.touches:
            self._touch_all(meta_keys)
        return found

    def load(self, keys: list[bytes]) -> None:
        """Have the rows of ``keys`` at hand for what follows; it leaves no trace."""
        meta_keys = self._meta_keys(keys)
        self._completed(meta_keys, self._at_hand(meta_keys))

    def _meta_keys(self, keys: list[bytes]) -> list[bytes]:
        return list(map(add, repeat(self.prefix), keys))

    def _touch_all(self, meta_keys: Iterable[bytes]) -> None:
        uses = self._uses
        second = self.tx.second
        for meta_key in meta_keys:
            uses[hash(meta_key) & USE_MASK] = second

    def _completed(
        self, meta_keys: list[bytes], found: list[Held | None], *, keep: bool = True
    ) -> list[Held]:
        """``found``, which was at hand, with what was not. The cache takes it in if that is to be
        kept: what is about to be replaced is not."""
        missing = {key for key, what in zip(meta_keys, found, strict=True) if what is None}
        if not missing:
            return found  # type: ignore[return-value]
        recall: Callable[[bytes], Any] = self._cache.recall if keep else self._cache.old.get
        add = self._cache.add
        known = {key: recall(key) for key in missing}
        wanted = [key for key, what in known.items() if what is None]
        values = self.tx.keyspace.engine.get_many(META, wanted)
        self._counters.rows_read += len(wanted)
        for key, raw in zip(wanted, values, strict=True):
            known[key] = what = ABSENT if raw is None else decode_held(raw)
            if keep:
                add(key, what)
        return [
            known[key] if what is None else what for key, what in zip(meta_keys, found, strict=True)
        ]

    def _at_hand(self, meta_keys: list[bytes]) -> list[Held | None]:
        """What the batch has written or the young generation of the cache has."""
        found: list[Held | None] = list(map(self._cache.young.get, meta_keys))
        overlay = self._overlay
        return list(map(overlay.get, meta_keys, found)) if overlay else found

    def find_texts(self, keys: list[bytes]) -> tuple[list[bytes], list[bytes | None]]:
        """The bare string at each of ``keys``, which are different; b"" where there is no such key,
        None for any other row. It leaves no trace. Before them, the keys of their rows, for
        ``put_texts``."""
        meta_keys = self._meta_keys(keys)
        found = self._at_hand(meta_keys)
        if set(map(type, found)) != _BARE:
            found = [
                what if type(what) is bytes else b"" if what is ABSENT else None
                for what in self._completed(meta_keys, found)
            ]
        return meta_keys, found  # type: ignore[return-value]

    def put_texts(
        self, meta_keys: list[bytes], texts: list[bytes], new: list[bytes], edits: int
    ) -> None:
        """Set what ``find_texts`` has just found to ``texts``, none of them empty; ``new`` are
        those of the rows that were not there. ``edits`` as in ``put``, of all."""
        self._write_all(meta_keys, texts, len(new), edits)
        self._touch_all(meta_keys if self.tx.touches else new)

    def set_all(self, keys: list[bytes], values: list[bytes]) -> None:
        """``set`` each key, in order; new keys and bare strings together, at a fourth of the
        cost."""
        if not all(values):
            for key, value in zip(keys, values, strict=True):
                self.set(key, value)
            return
        meta_keys = self._meta_keys(keys)
        found = self._at_hand(meta_keys)
        new: Collection[bytes] = ()
        if set(map(type, found)) != _BARE:
            before = self._completed(meta_keys, found, keep=False)
            if not _BARE_OR_ABSENT.issuperset(map(type, before)):
                plain = [type(what) in _BARE_OR_ABSENT for what in before]
                for key, value, is_plain in zip(keys, values, plain, strict=True):
                    if not is_plain:
                        self.set(key, value)
                meta_keys, values = list(compress(meta_keys, plain)), list(compress(values, plain))
                before = list(compress(before, plain))
            new = {key for key, what in zip(meta_keys, before, strict=True) if what is ABSENT}
        self._write_all(meta_keys, values, len(new), len(meta_keys))
        self._touch_all(meta_keys if self.tx.touches else new)

    def remove_expired(self, meta_keys: list[bytes]) -> None:
        """Delete rows whose time has come, of keys that own nothing besides; their entries in the
        expiry index are the caller's. One entry to undo them all."""
        tx, overlay, number = self.tx, self._overlay, len(meta_keys)
        before = [overlay.get(meta_key, MISSING) for meta_key in meta_keys]
        tx.undo.append((overlay, meta_keys, before, self.namespace, -number, -number, 0))
        overlay.update(dict.fromkeys(meta_keys, ABSENT))
        tx.count(self.namespace, -number, -number)
        self._counters.expired += number
        if tx.keyspace.notes_events:
            for meta_key in meta_keys:
                self.note("x", "expired", meta_key[NAMESPACE_SIZE:])

    def _write_all(self, meta_keys: list[bytes], texts: list[bytes], new: int, edits: int) -> None:
        """Set rows to bare strings; ``new`` of them were not there. One entry to undo them all."""
        overlay = self._overlay
        before: list[Any] = [MISSING] * len(meta_keys)
        if overlay:
            before = list(map(overlay.get, meta_keys, before))
        self.tx.undo.append((overlay, meta_keys, before, self.namespace, new, 0, edits))
        self._counters.changes += edits
        overlay.update(zip(meta_keys, texts, strict=True))
        if new:
            self.tx.count(self.namespace, new, 0)
