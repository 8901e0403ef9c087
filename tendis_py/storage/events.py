"""Keyspace events: what notifications tell of, and what a transaction knows of them.

Most events follow from a command and what it has written, which ``Writes`` reads from the undo
list. Of some only storage and types know (a key has expired, a reader met none): they are noted in
the undo list itself, at their place, so that they are taken back with the rest. Knows no commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from tendis_py.storage.codec import ABSENT
from tendis_py.storage.families import META
from tendis_py.storage.key_rows import MISSING

if TYPE_CHECKING:
    from tendis_py.storage.transaction import Transaction


EXPIRED = "expired"
_ENDS = frozenset((EXPIRED, "del"))
"""What is noted of keys that are deleted because they, or all they have, are due."""


class Event(NamedTuple):
    """``kind``: the letter of notify-keyspace-events that asks for it; ``database``: its index."""

    kind: str
    name: str
    database: int
    key: bytes


def noted(tx: Transaction, mark: int = 0) -> list[Event]:
    """What was noted since ``mark``, in order."""
    if not tx.keyspace.notes_events:
        return []
    notes = tx.notes
    return [Event(*key) for overlay, key, *_ in islice(tx.undo, mark, None) if overlay is notes]


class Writes:
    """What a command has done since ``mark``, its unit of work not ended. Keys are those of users,
    with the index of their database."""

    __slots__ = ("_changed", "_expired", "_new", "_notes", "_places", "_tx")

    def __init__(self, tx: Transaction, mark: int) -> None:
        self._tx = tx
        self._notes: dict[int, Event] = {}
        """By place, as far as they are not taken."""
        self._places: dict[bytes, list[int]] = {}
        """User key → of its notes."""
        self._changed: set[bytes] = set()
        self._expired: set[bytes] = set()
        """Meta keys that went because they were due, and did not come again."""
        self._new: dict[bytes, int] = {}
        """Meta key → how often it came, less how often it went, expired ones not counted."""
        for overlay, key, before, _, keys, _, edits in islice(tx.undo, mark, None):
            if overlay is tx.notes:
                self._take_note(Event(*key))
            elif overlay is tx.meta:
                meta_keys = key if type(key) is list else [key]
                if edits:
                    self._changed.update(meta_keys)
                if keys > 0:
                    self._count_new(meta_keys, before, keys)
                    self._expired.difference_update(meta_keys)
                elif keys < 0 and edits:
                    for meta_key in meta_keys:
                        self._new[meta_key] = self._new.get(meta_key, 0) - 1

    def _take_note(self, note: Event) -> None:
        place = len(self._notes)
        self._notes[place] = note
        self._places.setdefault(note.key, []).append(place)
        if note.name in _ENDS:
            self._expired.add(self._meta_key(note.database, note.key))

    def _count_new(self, meta_keys: list[bytes], before: Any, keys: int) -> None:
        """Of an entry that makes ``keys`` of its keys."""
        new = meta_keys
        if keys < len(meta_keys):
            get = self._tx.keyspace.engine.get
            new = [
                meta_key
                for meta_key, what in zip(meta_keys, before, strict=True)
                if what is ABSENT or (what is MISSING and get(META, meta_key) is None)
            ]
        for meta_key in new:
            self._new[meta_key] = self._new.get(meta_key, 0) + 1

    def _meta_key(self, database: int, key: bytes) -> bytes:
        return self._tx.database(database).prefix + key

    def notes(self, key: bytes | None = None) -> Iterator[Event]:
        """Take the notes, or those of ``key`` in whatever database, in order."""
        places = list(self._notes) if key is None else self._places.get(key, ())
        for place in places:
            note = self._notes.pop(place, None)
            if note is not None:
                yield note

    def changed(self, database: int, key: bytes) -> bool:
        """Whether that counts as a change of ``key``."""
        return self._meta_key(database, key) in self._changed

    def is_gone(self, database: int, key: bytes) -> bool:
        """Whether the command has deleted ``key``, which was not due."""
        meta_key = self._meta_key(database, key)
        return self._tx.meta.get(meta_key) is ABSENT and meta_key not in self._expired

    def has_deadline(self, database: int, key: bytes) -> bool:
        """Whether ``key``, which was written, is to expire."""
        return bool(getattr(self._tx.meta.get(self._meta_key(database, key)), "expire_at", 0))

    def take_new(self, database: int, key: bytes) -> bool:
        """Whether ``key`` was not there before; True once only."""
        return self._new.pop(self._meta_key(database, key), 0) > 0
