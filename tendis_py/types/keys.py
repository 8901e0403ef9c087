"""Keys, whatever they hold: existence, deadlines, names, iteration. No RESP, no RocksDB.

Nothing here looks at a value. A large collection's elements hang on its row's version, so renaming
and moving carry the row and leave them where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tendis_py.errors import NO_SUCH_KEY, ReplyError
from tendis_py.glob import compile_glob, literal_prefix
from tendis_py.storage.codec import (
    DEADLINE_SIZE,
    NAMESPACE_SIZE,
    TYPE_NAMES,
    VERSION_SIZE,
    CollectionRow,
    Row,
)
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements, VersionWriter
from tendis_py.storage.families import ELEMENT_FAMILIES

MAX_COUNT = 10_000
"""Keys that a step of SCAN looks at, at most, whatever COUNT asks for: 2 to 6 ms."""

_ENTRY_BYTES = 16
"""What RocksDB adds to a row: 8 bytes of sequence number and type, lengths, its share of the
block's index and filter."""

UNKNOWN_TYPE = -1
"""A type that no key has, for a TYPE filter with an unknown name."""

# Existence


def _loaded(db: Database, keys: list[bytes]) -> Iterator[bytes]:
    """``keys``, their rows at hand: many are read by list, with rests in between."""
    if len(keys) == 1:
        yield keys[0]
        return
    db.tx.admit(len(keys))
    for cut in db.tx.pace.cuts(len(keys)):
        db.load(keys[cut])
        yield from keys[cut]


def delete(db: Database, keys: list[bytes]) -> int:
    """Delete; how many there were."""
    deleted = 0
    for key in _loaded(db, keys):
        row = db.peek(key)
        if row is not None:
            db.delete(key, row)
            deleted += 1
    return deleted


def count_existing(db: Database, keys: list[bytes]) -> int:
    """How many of ``keys`` exist; one named twice counts twice."""
    return sum(db.inspect(key) is not None for key in _loaded(db, keys))


def touch(db: Database, keys: list[bytes]) -> int:
    """Mark as used just now, even for a client that asked not to touch; how many there were."""
    touched = 0
    for key in _loaded(db, keys):
        if db.inspect(key) is not None:
            db.touch(key)
            touched += 1
    return touched


def type_name(db: Database, key: bytes) -> str:
    """``string``, ``list`` …, or ``none``."""
    row = db.inspect(key)
    return "none" if row is None else TYPE_NAMES[row.type]


def type_named(name: bytes) -> int:
    """The type of that name, in whatever case, or UNKNOWN_TYPE."""
    lowered = name.lower().decode("latin-1")
    return TYPE_NAMES.index(lowered) if lowered in TYPE_NAMES else UNKNOWN_TYPE


# Deadlines: Unix times in ms

Condition = Callable[[int, int], bool]
"""(the deadline a key has, 0 for none; the new one) → whether to set it."""


def has_none(old: int, new: int) -> bool:
    return not old


def has_one(old: int, new: int) -> bool:
    return bool(old)


def is_later(old: int, new: int) -> bool:
    """A key without a deadline never expires: none is later."""
    return bool(old) and new > old


def is_sooner(old: int, new: int) -> bool:
    return not old or new < old


def deadline(db: Database, key: bytes) -> int | None:
    """When ``key`` expires, 0 if it does not; None when there is no such key."""
    row = db.inspect(key)
    return None if row is None else row.expire_at


def expire(db: Database, key: bytes, at: int, conditions: Iterable[Condition] = ()) -> bool:
    """Have ``key`` expire, if it exists and all conditions hold; whether they did. A deadline that
    has passed, negative ones included, deletes it now."""
    row = db.peek(key)
    if row is None or not all(holds(row.expire_at, at) for holds in conditions):
        return False
    if at <= db.now:
        db.delete(key, row)
    else:
        db.put(key, row.with_expiry(at), row)
    return True


def persist(db: Database, key: bytes) -> bool:
    """Take the deadline away; whether there was one."""
    row = db.peek(key)
    if row is None or not row.expire_at:
        return False
    db.put(key, row.with_expiry(0), row)
    return True


# Names


def rename(db: Database, source: bytes, target: bytes) -> None:
    """Give a value another name, overwriting what has it."""
    row = _existing(db, source)
    if source != target:
        _carry(db, source, row, db, target, db.peek(target))


def rename_if_free(db: Database, source: bytes, target: bytes) -> bool:
    """As ``rename``, unless ``target`` exists; whether it was done."""
    row = _existing(db, source)
    if db.peek(target) is not None:
        return False
    _carry(db, source, row, db, target, None)
    return True


def move(db: Database, key: bytes, other: Database) -> bool:
    """Move ``key`` to another database, unless one of that name is there; whether it was done."""
    row = db.peek(key)
    if row is None or other.peek(key) is not None:
        return False
    _carry(db, key, row, other, key, None)
    return True


def copy(
    db: Database, source: bytes, other: Database, target: bytes, *, replace: bool = False
) -> bool:
    """Copy a value with its deadline, and with ``replace`` over an existing one; whether it was
    done."""
    row = db.find(source)
    if row is None:
        return False
    old = other.peek(target)
    if old is not None and not replace:
        return False
    if row.version:
        assert isinstance(row, CollectionRow)
        copied: Row = row.changed(version=_copy_elements(db, row))
    else:
        copied = row.with_expiry(row.expire_at)
    other.put(target, copied, old)
    return True


def _copy_elements(db: Database, row: CollectionRow) -> int:
    """Copy the elements of a large collection; their new version."""
    db.tx.admit(row.count)
    writer = VersionWriter(db.tx)
    for family in ELEMENT_FAMILIES:
        for element, value in Elements(db.tx, row.version, family).items():
            writer.add(element, value, family)
    return writer.finish()


def _existing(db: Database, key: bytes) -> Row:
    row = db.peek(key)
    if row is None:
        raise ReplyError(NO_SUCH_KEY)
    return row


def _carry(
    db: Database, source: bytes, row: Row, other: Database, target: bytes, old: Row | None
) -> None:
    db.detach(source, row)
    other.put(target, row, old)


# Iteration


def matching(db: Database, pattern: bytes) -> Iterator[bytes]:
    """All keys that match a glob pattern. Reads only those that begin as every match does."""
    return filter(compile_glob(pattern), db.keys(literal_prefix(pattern)))


def scan(
    db: Database,
    start: bytes,
    count: int,
    pattern: bytes | None = None,
    type_: int | None = None,
    *,
    at_least: int = 0,
) -> tuple[list[bytes], bytes | None]:
    """One step of an iteration over the keys from ``start`` on: the keys, and where to go on.

    ``count`` keys are looked at, MAX_COUNT at the most, but ``at_least`` so many; fewer come back
    where a pattern or a type leaves some out. The second value is None at the end. A key that
    exists throughout an iteration is returned once.
    """
    db.tx.admit(at_least)
    prefix = b"" if pattern is None else literal_prefix(pattern)
    count = min(count, MAX_COUNT)
    found, rest = db.page(prefix, start, count, type_)
    last = found[-1] if len(found) == count else None  # else it is not known, some were left out
    for looked_at in range(count, at_least, MAX_COUNT):
        if rest is None:
            break
        count = min(at_least - looked_at, MAX_COUNT)
        more, rest = db.page(prefix, rest, count, type_)
        last = more[-1] if len(more) == count else None
        found += more
    if rest is not None and last is not None:
        rest = separator(last, rest)
    return (found if pattern is None else list(filter(compile_glob(pattern), found))), rest


def separator(one: bytes, greater: bytes) -> bytes:
    """The shortest that is greater than ``one``, and begins ``greater``: as good a place to go on
    at, and seldom long."""
    low, high = 0, min(len(one), len(greater))
    while low < high:  # they are alike up to low, and not up to high + 1
        middle = (low + high + 1) // 2
        if one.startswith(greater[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return greater[: low + 1]


# Facts


def memory_usage(db: Database, key: bytes, samples: int) -> int | None:
    """About how many bytes ``key`` and its value take, on disk and before compression; None when
    there is no such key. Of a large collection's elements ``samples`` are looked at (0: all)."""
    row = db.peek(key)
    return None if row is None else usage_of(db, key, row, samples)


def usage_of(db: Database, key: bytes, row: Row, samples: int) -> int:
    """As ``memory_usage``, of a key whose row is known."""
    key_bytes = NAMESPACE_SIZE + len(key) + _ENTRY_BYTES
    deadline_bytes = DEADLINE_SIZE + key_bytes if row.expire_at else 0
    taken = key_bytes + len(row.encode()) + deadline_bytes
    if row.version:
        assert isinstance(row, CollectionRow)
        taken += _elements_usage(db, row, samples)
    return taken


def _elements_usage(db: Database, row: CollectionRow, samples: int) -> int:
    """About how many bytes the elements of a large collection take."""
    db.tx.admit(samples or row.count)
    taken = 0
    for family in ELEMENT_FAMILIES:
        items = Elements(db.tx, row.version, family).items()
        sizes = [
            VERSION_SIZE + len(element) + len(value) + _ENTRY_BYTES
            for element, value in islice(items, samples or None)
        ]
        if samples and len(sizes) == samples:
            taken += sum(sizes) * max(row.count, samples) // samples
        else:
            taken += sum(sizes)
    return taken
