"""The offline check of a data folder (``tendis-py --check DIR``): does everything agree?

Reads in order, one row at a time, and keeps 8 bytes for each large collection, so the size of the
data does not matter. Changes nothing but what a large commit has left to do. What the rows of a
type must look like among themselves is the type's own business: its *inspector* says. Knows no
type; docs/storage.md lists what is checked.
"""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from tendis_py.errors import StorageError, UnreadableError
from tendis_py.storage import journal
from tendis_py.storage.codec import (
    DEADLINE_SIZE,
    FIELDS_DUE,
    KEY_DUE,
    NAMESPACE_SIZE,
    VERSION_SIZE,
    CollectionRow,
    Row,
    deadline_key,
    decode,
    split_deadline_key,
    stored_deadline,
    stored_version,
    upper_bound,
    version_prefix,
)
from tendis_py.storage.engine import FORMAT_VALUE, Engine
from tendis_py.storage.families import COLUMN_FAMILIES, ELEMENT_FAMILIES, EXPIRES, GARBAGE, META
from tendis_py.storage.keyspace import (
    COUNT_SETTING,
    COUNTS_LAYOUT,
    DATABASE_SETTING,
    DEAD_SETTING,
    Counts,
)
from tendis_py.storage.libraries import LIBRARY_SETTING, read_library

CLEAN, FINDINGS, CANT_OPEN = range(3)
"""Exit codes."""

_SHOWN = 100
"""Errors and remarks that are written out; the rest are counted."""


class StoredElements:
    """The elements of ``version`` in one family as they are on disk: what ``Elements`` reads,
    without a transaction."""

    __slots__ = ("_engine", "_family", "_prefix")

    def __init__(self, engine: Engine, version: int, family: int) -> None:
        self._engine = engine
        self._family = family
        self._prefix = version_prefix(version)

    def get(self, element: bytes) -> bytes | None:
        return self._engine.get(self._family, self._prefix + element)

    def get_many(self, elements: list[bytes]) -> list[bytes | None]:
        return list(map(self.get, elements))

    def items(
        self, lower: bytes = b"", upper: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._engine.items(self._family, *self._range(lower, upper), reverse=reverse)
        return ((key[VERSION_SIZE:], value) for key, value in rows)

    def keys(
        self, lower: bytes = b"", upper: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[bytes]:
        keys = self._engine.keys(self._family, *self._range(lower, upper), reverse=reverse)
        return (key[VERSION_SIZE:] for key in keys)

    def _range(self, lower: bytes, upper: bytes | None) -> tuple[bytes, bytes | None]:
        end = upper_bound(self._prefix) if upper is None else self._prefix + upper
        return self._prefix + lower, end

    def count(self) -> int:
        return sum(1 for _ in self.keys())


Stored = Callable[[int], StoredElements]
"""The elements of one collection by family; none where it is small."""
Inspect = Callable[[CollectionRow, Stored], Iterator[str]]
"""What is wrong with a collection, in words that follow its key's name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``harmless``: the server puts it right by itself."""

    text: str
    harmless: bool = False


@dataclass(slots=True)
class Found:
    """What there is in one namespace."""

    keys: int = 0
    deadlines: int = 0
    large: int = 0
    elements: int = 0
    """Of large collections."""


class Check:
    """``findings`` looks at everything once; ``namespaces`` has been filled then."""

    def __init__(self, engine: Engine, inspectors: Mapping[int, Inspect]) -> None:
        self._engine = engine
        self._inspectors = inspectors
        self.databases = {
            int(key[len(DATABASE_SETTING) :]): int.from_bytes(value, "big")
            for key, value in engine.settings(DATABASE_SETTING)
        }
        """Index → namespace."""
        self.dead = {
            int.from_bytes(key[len(DEAD_SETTING) :], "big")
            for key, _ in engine.settings(DEAD_SETTING)
        }
        self._indexes = {namespace: index for index, namespace in self.databases.items()}
        self.namespaces: dict[int, Found] = {}
        self._owned = array("Q")
        """Versions that live keys name."""
        self._given_up = array("Q")
        """Versions that keys of flushed databases name."""

    def findings(self) -> Iterator[Finding]:
        yield from self._files()
        yield from self._databases()
        yield from self._libraries()
        yield from self._as_far_as_readable("the keys", self._keys())
        yield from self._counters()
        yield from self._as_far_as_readable("the expiry index", self._deadlines())
        yield from self._as_far_as_readable("the elements", self._versions())

    def _libraries(self) -> Iterator[Finding]:
        for key, value in self._engine.settings(LIBRARY_SETTING):
            try:
                read_library(key, value)
            except ValueError as error:
                yield Finding(f"a library of functions can't be decoded: {error}")

    def _files(self) -> Iterator[Finding]:
        for family, name in ((None, "default"), *enumerate(COLUMN_FAMILIES)):
            damage = self._engine.damage(family)
            if damage is not None:
                yield Finding(f"{name} can't be read to its end: {damage}")

    @staticmethod
    def _as_far_as_readable(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
        try:
            yield from findings
        except UnreadableError as error:
            yield Finding(f"{what} were checked only so far: {error}")

    def _databases(self) -> Iterator[Finding]:
        places = sorted((namespace, index) for index, namespace in self.databases.items())
        for (namespace, index), (other, second) in pairwise(places):
            if namespace == other:
                yield Finding(f"databases {index} and {second} are one: namespace {namespace}")
        for namespace, index in places:
            if namespace in self.dead:
                yield Finding(f"database {index} is of namespace {namespace}, which was flushed")

    # Keys

    def _keys(self) -> Iterator[Finding]:
        for meta_key, raw in self._engine.items(META, b"", None):
            namespace = int.from_bytes(meta_key[:NAMESPACE_SIZE], "big")
            found = self.namespaces.get(namespace)
            if found is None:
                found = self.namespaces[namespace] = Found()
                if namespace not in self._indexes and namespace not in self.dead:
                    yield Finding(f"namespace {namespace} has keys and belongs to no database")
            found.keys += 1
            if namespace in self.dead:
                if version := _version(raw):
                    self._given_up.append(version)
                continue
            found.deadlines += stored_deadline(raw) != 0
            try:
                row = decode(raw)
            except Exception as error:  # damaged bytes may fail in any way
                yield Finding(f"{self._name(meta_key)}: can't be decoded: {error}")
                if version := _version(raw):
                    self._owned.append(version)
                continue
            for text in self._row(meta_key, row, found):
                yield Finding(f"{self._name(meta_key)}: {text}")

    def _row(self, meta_key: bytes, row: Row, found: Found) -> Iterator[str]:
        for deadline, kind in ((row.expire_at, KEY_DUE), (row.fields_due, FIELDS_DUE)):
            entry = deadline_key(deadline, meta_key, kind)
            if deadline and self._engine.get(EXPIRES, entry) is None:
                whose = "its" if kind == KEY_DUE else "its fields'"
                yield f"{whose} deadline {deadline} is not in the expiry index"
        if not isinstance(row, CollectionRow):
            return
        if row.version:
            found.large += 1
            found.elements += row.count
            self._owned.append(row.version)
            if self._engine.get(GARBAGE, version_prefix(row.version)) is not None:
                yield f"its version {row.version:x} is in the garbage"
        inspect = self._inspectors.get(row.type)
        if inspect is None:
            yield f"nothing knows how to check type {row.type}"
            return
        try:
            yield from inspect(row, partial(StoredElements, self._engine, row.version))
        except Exception as error:  # damaged bytes may fail in any way
            yield f"its rows can't be read: {error!r}"

    def _counters(self) -> Iterator[Finding]:
        counters = {
            int.from_bytes(key[len(COUNT_SETTING) :], "big"): Counts(*COUNTS_LAYOUT.unpack(value))
            for key, value in self._engine.settings(COUNT_SETTING)
        }
        for index, namespace in sorted(self.databases.items()):
            found = self.namespaces.get(namespace, Found())
            counts = counters.get(namespace, Counts())
            if counts.keys != found.keys:
                yield Finding(f"database {index} counts {counts.keys} keys and has {found.keys}")
            if counts.expires != found.deadlines:
                yield Finding(
                    f"database {index} counts {counts.expires} keys with a deadline and has "
                    f"{found.deadlines}"
                )

    # Indexes

    def _deadlines(self) -> Iterator[Finding]:
        for raw in self._engine.keys(EXPIRES, b"", None):
            if len(raw) < DEADLINE_SIZE + NAMESPACE_SIZE or raw[DEADLINE_SIZE - 1] > FIELDS_DUE:
                yield Finding(f"the expiry index has an entry of no kind: {raw!r}")
                continue
            deadline, kind, meta_key = split_deadline_key(raw)
            namespace = int.from_bytes(meta_key[:NAMESPACE_SIZE], "big")
            if namespace not in self.dead and self._deadline(meta_key, kind) != deadline:
                yield Finding(
                    f"{self._name(meta_key)}: the expiry index has a stale deadline {deadline}",
                    harmless=True,
                )

    def _deadline(self, meta_key: bytes, kind: int) -> int:
        raw = self._engine.get(META, meta_key)
        if raw is None:
            return 0
        if kind == KEY_DUE:
            return stored_deadline(raw)
        try:
            return decode(raw).fields_due
        except Exception:  # reported with the key
            return 0

    def _versions(self) -> Iterator[Finding]:
        owned = self._owned = array("Q", sorted(self._owned))
        given_up = array("Q", sorted(self._given_up))
        for version, other in pairwise(owned):
            if version == other:
                yield Finding(f"version {version:x} belongs to {self._owners(version)}")
        for family in ELEMENT_FAMILIES:
            for version in self._stored_versions(family):
                prefix = version_prefix(version)
                if not (
                    _has(owned, version)
                    or _has(given_up, version)
                    or self._engine.get(GARBAGE, prefix) is not None
                ):
                    rows = StoredElements(self._engine, version, family).count()
                    yield Finding(
                        f"version {version:x} has {rows} rows in {COLUMN_FAMILIES[family]}, no key "
                        "and is not in the garbage"
                    )

    def _stored_versions(self, family: int) -> Iterator[int]:
        """The versions that have rows, without reading those."""
        position = b""
        while (key := next(self._engine.keys(family, position, None), None)) is not None:
            prefix = key[:VERSION_SIZE]
            yield int.from_bytes(prefix, "big")
            after = upper_bound(prefix)
            if after is None:
                return
            position = after

    def _owners(self, version: int) -> str:
        rows = self._engine.items(META, b"", None)
        return " and ".join(self._name(key) for key, raw in rows if _version(raw) == version)

    def _name(self, meta_key: bytes) -> str:
        namespace = int.from_bytes(meta_key[:NAMESPACE_SIZE], "big")
        index = self._indexes.get(namespace)
        place = f"namespace {namespace}" if index is None else f"database {index}"
        return f"{place}, key {meta_key[NAMESPACE_SIZE:]!r}"


def _version(raw: bytes) -> int:
    """The version of a meta row that may be damaged."""
    return stored_version(raw) if len(raw) > 2 else 0


def _has(ordered: array[int], version: int) -> bool:
    at = bisect_left(ordered, version)
    return at < len(ordered) and ordered[at] == version


def check_folder(
    folder: Path, inspectors: Mapping[int, Inspect], say: Callable[[str], None]
) -> int:
    """Check the data in ``folder``, which no server may be using, and ``say`` what was found, line
    by line; the exit code."""
    try:
        engine = _sound_journal(folder, say)
    except StorageError as error:
        say(str(error))
        return CANT_OPEN
    try:
        say(f"{folder}: {FORMAT_VALUE.decode()}")
        for remark in engine.remarks:
            say(f"remark: {remark}")
        return _report(engine, inspectors, say)
    except UnreadableError as error:
        say(f"ERROR: the settings can't be read: {error}")
        return FINDINGS
    finally:
        engine.close()


def _sound_journal(folder: Path, say: Callable[[str], None]) -> Engine:
    """The folder, read-only. As a file system's check does, this finishes what a crash has left in
    the journal: until then not all of a large commit is where it belongs."""
    engine = Engine(folder, read_only=True)
    if not journal.has_unfinished(engine):
        return engine
    engine.close()
    engine = Engine(folder)
    try:
        say(f"finished {journal.finish(engine)} large commits that were interrupted")
    finally:
        engine.close()
    return Engine(folder, read_only=True)


def _report(engine: Engine, inspectors: Mapping[int, Inspect], say: Callable[[str], None]) -> int:
    check = Check(engine, inspectors)
    errors = remarks = 0
    for finding in check.findings():
        if errors + remarks < _SHOWN:
            say(f"{'remark' if finding.harmless else 'ERROR'}: {finding.text}")
        remarks += finding.harmless
        errors += not finding.harmless
    if errors + remarks > _SHOWN:
        say(f"and {errors + remarks - _SHOWN} more")
    for index, namespace in sorted(check.databases.items()):
        found = check.namespaces.get(namespace)
        if found is not None:
            say(
                f"database {index}: {found.keys} keys, {found.deadlines} with a deadline; "
                f"{found.large} large collections of {found.elements} elements"
            )
    for namespace in sorted(check.dead):
        found = check.namespaces.get(namespace, Found())
        say(f"flushed, not yet reclaimed: namespace {namespace}, {found.keys} keys")
    garbage = 0
    with contextlib.suppress(UnreadableError):  # that it can't be read is said
        garbage = sum(1 for _ in engine.keys(GARBAGE, b"", None))
    if garbage:
        say(f"deleted, not yet reclaimed: {garbage} large collections")
    say(f"{errors} errors, {remarks} remarks")
    return FINDINGS if errors else CLEAN


def data_folder(path: Path) -> Path:
    """Where the data is: ``path`` is either it or the server's ``dir``."""
    inner = path / "tendis-data"
    return inner if inner.is_dir() else path
