"""Sets: different byte strings under a key. Values in, values out; no RESP, no RocksDB.

``intset``: the members as a sorted tuple of ints. ``listpack``: a dict of them, in the order they
came. ``hashtable``: a large set; each member is the key of a row without a value. When a set takes
which encoding is Redis' t_set.c, ``Draft`` follows it. ``add`` and ``contains`` of one member
are the hot path.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice

from tendis_py.numbers import strict_integer
from tendis_py.storage.codec import (
    SET,
    Collection,
    CollectionRow,
    pack_items,
    register,
    unpack_items,
)
from tendis_py.storage.database import Database
from tendis_py.storage.elements import VersionWriter
from tendis_py.storage.limits import Limits
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import collection
from tendis_py.types.collection import elements, first_times, keep
from tendis_py.types.scan import Step
from tendis_py.types.scan import rows as scan_rows
from tendis_py.types.shards import Shards, distinct

INTSET, LISTPACK, HASHTABLE = range(3)


def _pack(row: CollectionRow) -> bytes:
    if row.encoding == INTSET:
        return struct.pack(f">{len(row.value)}q", *row.value)
    return pack_items(list(row.value)) if row.encoding == LISTPACK else b""


def _unpack(raw: bytes, row: CollectionRow) -> object:
    if row.encoding == INTSET:
        return struct.unpack(f">{row.count}q", raw)
    return dict.fromkeys(unpack_items(raw)) if row.encoding == LISTPACK else None


register(SET, Collection(("intset", "listpack", "hashtable"), _pack, _unpack))


class Draft:
    """The members of a set in the making, in the encoding that Redis would give it by then
    (setTypeAddAux in t_set.c). All are in memory: for few."""

    __slots__ = ("_integers", "_limits", "_members", "encoding")

    def __init__(self, limits: Limits, encoding: int = INTSET) -> None:
        self._limits = limits
        self.encoding = encoding
        self._integers: list[int] = []
        """Of an intset, in order."""
        self._members: dict[bytes, None] = {}
        """Of any other encoding."""

    @classmethod
    def created_for(cls, limits: Limits, members: Sequence[bytes]) -> Draft:
        """An empty set for ``members``, which are to be added next (setTypeCreate)."""
        if len(members) <= limits.set_max_intset_entries and strict_integer(members[0]) is not None:
            return cls(limits, INTSET)
        fits = len(members) <= limits.set_max_listpack_entries
        return cls(limits, LISTPACK if fits else HASHTABLE)

    @classmethod
    def of(cls, limits: Limits, row: CollectionRow) -> Draft:
        """What a small set holds."""
        draft = cls(limits, row.encoding)
        if row.encoding == INTSET:
            draft._integers = list(row.value)
        else:
            draft._members = dict(row.value)
        return draft

    def make_room(self, number: int) -> None:
        """So many are going to be added to a set that was there (setTypeMaybeConvert)."""
        limits = self._limits
        if self.encoding == INTSET and number > limits.set_max_intset_entries:
            self._leave_intset(HASHTABLE)
        elif self.encoding == LISTPACK and number > limits.set_max_listpack_entries:
            self.encoding = HASHTABLE

    def add(self, member: bytes) -> bool:
        """Whether it was not there."""
        limits = self._limits
        if self.encoding == INTSET:
            number = strict_integer(member)
            if number is not None:
                return self._add_integer(number)
            ends = self._integers[:1] + self._integers[-1:]  # of all, one of them is the longest
            short = all(len(_as_bytes(end)) <= limits.set_max_listpack_value for end in ends)
            self._leave_intset(LISTPACK if short else HASHTABLE)
        members = self._members
        if member in members:
            return False
        if self.encoding == LISTPACK and (
            len(members) >= limits.set_max_listpack_entries
            or len(member) > limits.set_max_listpack_value
        ):
            self.encoding = HASHTABLE
        members[member] = None
        return True

    def _add_integer(self, number: int) -> bool:
        integers = self._integers
        at = bisect_left(integers, number)
        if at < len(integers) and integers[at] == number:
            return False
        integers.insert(at, number)
        if len(integers) > self._limits.set_max_intset_entries:
            self._leave_intset(HASHTABLE)
        return True

    def _leave_intset(self, encoding: int) -> None:
        self.encoding = encoding
        self._members = dict.fromkeys(map(_as_bytes, self._integers))
        self._integers = []

    def row(self, db: Database, expire_at: int = 0) -> CollectionRow:
        """The set's row; the rows of a large one are written."""
        if self.encoding == INTSET:
            value = tuple(self._integers)
            return CollectionRow(SET, value, len(value), encoding=INTSET, expire_at=expire_at)
        if self.encoding == LISTPACK:
            return listpack_row(self._members, expire_at)
        return large_row(db, self._members, expire_at)


def _as_bytes(number: int) -> bytes:
    return b"%d" % number


def listpack_row(members: dict[bytes, None], expire_at: int = 0) -> CollectionRow:
    """The row of a small set of these members, in this order."""
    return CollectionRow(SET, members, len(members), encoding=LISTPACK, expire_at=expire_at)


def large_row(db: Database, members: Iterable[bytes], expire_at: int = 0) -> CollectionRow:
    """The row of a large set, whose members, each given once, are written."""
    writer = VersionWriter(db.tx)
    count = 0
    for member in members:
        writer.add(member)
        count += 1
    version = writer.finish()
    return CollectionRow(SET, None, count, version=version, encoding=HASHTABLE, expire_at=expire_at)


# Reading


def find(db: Database, key: bytes) -> CollectionRow | None:
    """The set at ``key`` for a command that reads."""
    return collection.find(db, key, SET)


def members(db: Database, row: CollectionRow) -> Iterator[bytes]:
    """All members, as they are now: those of a large set in the order of their bytes, integers by
    value, others in the order they came."""
    if row.version:
        return elements(db, row).keys()
    return map(_as_bytes, row.value) if row.encoding == INTSET else iter(row.value)


def contains(db: Database, row: CollectionRow, member: bytes) -> bool:
    if row.version:
        return elements(db, row).get(member) is not None
    if row.encoding == LISTPACK:
        return member in row.value
    number = strict_integer(member)
    if number is None:
        return False
    at = bisect_left(row.value, number)
    return at < row.count and bool(row.value[at] == number)


def contains_many(db: Database, row: CollectionRow, wanted: Sequence[bytes]) -> list[bool]:
    """As ``contains`` for each."""
    if row.version:
        db.tx.admit(len(wanted))
        rows = elements(db, row)
        found: list[bool] = []
        for cut in db.tx.pace.cuts(len(wanted)):
            found += [value is not None for value in rows.get_many(list(wanted[cut]))]
        return found
    return [contains(db, row, member) for member in wanted]


def scan(db: Database, row: CollectionRow, step: Step) -> tuple[list[bytes], bytes | None]:
    """A step of an iteration: members, and the one to go on from (None at the end)."""
    if not row.version:
        return step.filter(list(members(db, row))), None
    found, rest = scan_rows(db, row, step)
    return [member for member, _ in found], rest


# Writing


def add(db: Database, key: bytes, new: Sequence[bytes]) -> int:
    """Add members; how many were not there."""
    row = collection.peek(db, key, SET)
    if row is not None and row.version:
        return _add_rows(db, key, row, new)
    db.tx.admit(len(new))
    limits = db.limits
    if row is None:
        draft = Draft.created_for(limits, new)
    else:
        draft = Draft.of(limits, row)
        draft.make_room(len(new))
    if draft.encoding == HASHTABLE and len(new) > ITEMS_AT_ONCE:
        return _add_to_large(db, key, row, new)
    added = sum([draft.add(member) for member in new])
    if row is None:
        db.put(key, draft.row(db), None, edits=added)
    elif added or draft.encoding != row.encoding:
        db.put(key, draft.row(db, row.expire_at), row, edits=added)
    return added


def _add_to_large(db: Database, key: bytes, row: CollectionRow | None, new: Sequence[bytes]) -> int:
    """Make a large set of a small one, or of none, and these: a few at a time, others get the GIL
    in between."""
    before = [] if row is None else list(members(db, row))
    cuts = db.tx.pace.cuts(len(new))
    known: Shards[None] = Shards()
    everything = chain(before, chain.from_iterable(new[cut] for cut in cuts))
    large = large_row(db, distinct(everything, known), 0 if row is None else row.expire_at)
    known.clear()
    added = large.count - len(before)
    db.put(key, large, row, edits=added)
    return added


def _add_rows(db: Database, key: bytes, row: CollectionRow, new: Sequence[bytes]) -> int:
    if len(new) > ITEMS_AT_ONCE:
        db.tx.admit(len(new))
        return sum(add(db, key, new[cut]) for cut in db.tx.pace.cuts(len(new)))
    rows = elements(db, row)
    if len(new) == 1:
        absent = new if rows.get(new[0]) is None else []
    else:
        db.tx.admit(len(new))
        distinct = list(dict.fromkeys(new))
        found = rows.get_many(distinct)
        absent = [member for member, value in zip(distinct, found, strict=True) if value is None]
    for member in absent:
        rows.add(member)
    added = len(absent)
    if added:
        db.put(key, row.with_elements(None, row.count + added), row, edits=added)
    return added


def add_run(db: Database, key: bytes, new: list[bytes]) -> list[int] | None:
    """What ``add`` of each of ``new`` by itself returns; None, and nothing is done, unless the set
    is large."""
    row = collection.peek(db, key, SET)
    if row is None or not row.version:
        return None
    rows = elements(db, row)
    found = rows.get_many(new)
    if None not in found:
        return [0] * len(new)
    absent = {member: b"" for member, value in zip(new, found, strict=True) if value is None}
    rows.add_many(absent)
    added = len(absent)
    db.put(key, row.with_elements(None, row.count + added), row, edits=added)
    return first_times(new, set(absent))


def remove(db: Database, key: bytes, unwanted: Sequence[bytes]) -> int:
    """Remove members; how many were there."""
    row = collection.peek(db, key, SET)
    if row is None:
        return 0
    db.tx.admit(len(unwanted))
    if len(unwanted) > ITEMS_AT_ONCE:
        return sum(remove(db, key, unwanted[cut]) for cut in db.tx.pace.cuts(len(unwanted)))
    distinct = list(dict.fromkeys(unwanted))
    present = list(compress(distinct, contains_many(db, row, distinct)))
    remove_present(db, key, row, present)
    return len(present)


def remove_present(db: Database, key: bytes, row: CollectionRow, present: list[bytes]) -> None:
    """Remove different members that are there."""
    if not present:
        return
    count = row.count - len(present)
    if row.version:
        if count:
            elements(db, row).remove_many(present)
        keep(db, key, row.changed(count=count), row, edits=len(present))
        return
    value: object
    if row.encoding == INTSET:
        numbers = set(map(int, present))
        value = tuple([number for number in row.value if number not in numbers])
    else:
        value = dict(row.value)
        for member in present:
            del value[member]
    keep(db, key, row.changed(value=value, count=count), row, edits=len(present))


def move(db: Database, source: bytes, target: bytes, member: bytes) -> bool:
    """Move a member from one set to another; whether it was in the first."""
    row = db.peek(source)
    other = db.peek(target)
    if row is None:
        return False
    row = collection.checked(row, SET)
    collection.checked(other, SET)
    assert row is not None
    if not contains(db, row, member):
        return False
    if source != target:
        remove_present(db, source, row, [member])
        add(db, target, [member])
    return True


def store(
    db: Database, key: bytes, result: Iterable[bytes], draft: Draft, *, narrow: bool = False
) -> int:
    """Have ``key`` hold the members of ``result``, whatever it held, or nothing if there are none;
    how many there are. ``draft`` and ``narrow`` as in ``row_of``.
    """
    old = db.peek(key)
    row = row_of(db, result, draft, narrow=narrow)
    keep(db, key, row, old)
    return row.count


def row_of(
    db: Database, result: Iterable[bytes], draft: Draft, *, narrow: bool = False, expire_at: int = 0
) -> CollectionRow:
    """The row of the set of ``result``, each member of which is given once; the rows of a large one
    are written.

    ``draft`` is what Redis would begin with. ``narrow``: if all are integers and few enough for an
    intset, it is one in the end, however it began (maybeConvertToIntset).
    """
    limits = db.limits
    most = max(limits.set_max_intset_entries, limits.set_max_listpack_entries)
    rest = iter(result)
    first = list(islice(rest, most + 1))
    if len(first) > most:
        return large_row(db, chain(first, rest), expire_at)
    narrow = narrow and len(first) <= limits.set_max_intset_entries
    if narrow and all(strict_integer(member) is not None for member in first):
        draft = Draft(limits, INTSET)
    for member in first:
        draft.add(member)
    return draft.row(db, expire_at)
