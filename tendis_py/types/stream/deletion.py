"""Deleting entries of a stream, and what becomes of what its groups know of them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from tendis_py.types.stream import groups
from tendis_py.types.stream.entries import Stream
from tendis_py.types.stream.groups import Group
from tendis_py.types.stream.trimming import Trimming, trim, trim_some


class References(Enum):
    """Groups refer to an entry while they have not read it, or have it pending."""

    KEEP = "keep"
    """Pending entries stay, of which nothing is left but the ID."""
    FORGET = "forget"
    """The entry is pending nowhere any more."""
    RESPECT = "respect"
    """An entry is spared as long as a group refers to it."""


class Outcome(Enum):
    ABSENT = "absent"
    DELETED = "deleted"
    SPARED = "spared"


class Deletion:
    """Deletes entries of ``stream``; ``save`` when done."""

    def __init__(self, stream: Stream, references: References) -> None:
        self._stream = stream
        self._references = references
        self._groups = [] if references is References.KEEP else groups.all_groups(stream)

    def save(self, edits: int = 1) -> None:
        changed = [group.save() for group in self._groups]
        self._stream.save(edits)
        if not edits and any(changed):  # forgotten of what is there no more: for Redis, no edit
            self._stream.edited(0)

    def trim(self, trimming: Trimming) -> int:
        """How many were deleted, of which an event tells. Redis 8.2 removes whole nodes only where
        references are kept, so approximate trimming that looks at them does nothing."""
        deleted = 0
        if self._references is References.KEEP:
            deleted = trim(self._stream, trimming)
        elif not trimming.whole_nodes:
            deleted = trim_some(self._stream, trimming, self._may_delete)
        if deleted:
            self._stream.db.note("t", "xtrim", self._stream.key)
        return deleted

    def _may_delete(self, id_: int) -> bool:
        if self._references is References.FORGET:
            groups.release_everywhere(self._groups, id_)
        return self._references is not References.RESPECT or not self._is_referenced(id_)

    def _is_referenced(self, id_: int) -> bool:
        return groups.is_referenced(self._groups, id_)

    def delete(self, ids: Iterable[int]) -> list[Outcome]:
        """What becomes of each ID, in order."""
        asked = list(ids)
        left = self._stream.present(asked)
        gone: set[int] = set()
        outcomes = []
        for id_ in asked:
            if not self._may_delete(id_):
                outcomes.append(Outcome.SPARED)
            elif id_ in left:
                left.remove(id_)
                gone.add(id_)
                outcomes.append(Outcome.DELETED)
            else:
                outcomes.append(Outcome.ABSENT)
        self._stream.delete(gone)
        return outcomes

    def acknowledge(self, name: bytes, ids: Iterable[int]) -> list[Outcome]:
        """Delete what is pending in the group of that name, which is there; ABSENT stands for
        what is not pending."""
        group = self._group(name)
        asked = list(ids)
        left = self._stream.present(asked)
        gone: set[int] = set()
        outcomes = []
        for id_ in asked:
            (pending,) = group.pending_of([id_])
            if pending is None:
                outcomes.append(Outcome.ABSENT)
                continue
            group.release(id_, pending)
            if self._may_delete(id_):
                gone.add(id_)
                outcomes.append(Outcome.DELETED)
            else:
                outcomes.append(Outcome.SPARED)
        self._stream.delete(gone & left)
        return outcomes

    def _group(self, name: bytes) -> Group:
        for group in self._groups:
            if group.name == name:
                return group
        found = groups.find(self._stream, name)
        assert found is not None
        self._groups.append(found)
        return found
