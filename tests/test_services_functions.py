"""The catalogue of functions: what joins, what is refused, and what a folder keeps of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.errors import ReplyError, WriteStalledError
from tendis_py.services.functions import (
    STATE,
    Catalogue,
    committed,
    empty,
    name_of,
    open_catalogue,
)
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.libraries import Function, Library, library_key, library_setting
from tendis_py.storage.transaction import Transaction


def library(name: bytes, *functions: bytes) -> Library:
    made = tuple(Function(function, b"what it does", ("no-writes",)) for function in functions)
    return Library(name, b"#!lua name=" + name + b"\n", made)


def of(*libraries: Library) -> Catalogue:
    catalogue = empty()
    for one in libraries:
        catalogue.add(one)
    return catalogue


def names(catalogue: Catalogue) -> dict[bytes, bytes]:
    """The function's library for each name in lower case."""
    return {name: found.name for name, (found, _) in catalogue.functions.items()}


@pytest.fixture
def keyspace(tmp_path: Path) -> Iterator[Keyspace]:
    engine = Engine(tmp_path / "db")
    yield Keyspace(engine)
    engine.close()


def test_names_of_functions_know_no_case() -> None:
    catalogue = of(library(b"a", b"Do", b"undo"))
    assert catalogue.find(b"dO") is catalogue.find(b"Do") is not None
    assert catalogue.find(b"d") is None
    with pytest.raises(ReplyError, match="Function DO already exists"):
        catalogue.with_library(library(b"b", b"DO"))
    catalogue.check_new(b"A")  # those of libraries do


def test_one_library_may_have_both_spellings() -> None:
    catalogue = of(library(b"a", b"x", b"X"))
    assert len(catalogue.libraries[b"a"].functions) == 2
    assert names(catalogue.without_library(b"a")) == {}


def test_a_library_takes_the_place_of_its_predecessor() -> None:
    before = of(library(b"a", b"f", b"g"), library(b"b", b"h"))
    after = before.with_library(library(b"a", b"g", b"i"))
    assert names(after) == {b"h": b"b", b"g": b"a", b"i": b"a"}
    assert names(before) == {b"f": b"a", b"g": b"a", b"h": b"b"}
    with pytest.raises(ReplyError, match="Function h already exists"):
        before.with_library(library(b"a", b"h"))
    assert after.without_library(b"a").without_library(b"b").bytes == 0


def test_joining() -> None:
    before = of(library(b"a", b"f"), library(b"b", b"g"))
    with pytest.raises(ReplyError, match="ERR Library a already exists"):
        before.joined(of(library(b"c"), library(b"a", b"h")), replaces=False)
    after = before.joined(of(library(b"a", b"g"), library(b"b", b"f")), replaces=True)
    assert names(after) == {b"g": b"a", b"f": b"b"}
    with pytest.raises(ReplyError, match="Function g already exists"):
        before.joined(of(library(b"a", b"g")), replaces=True)


def test_what_is_kept_is_there_at_the_next_start(keyspace: Keyspace) -> None:
    open_catalogue(keyspace)
    tx = Transaction(keyspace)
    tx.begin(1)
    kept = library(b"a", b"f")
    tx.keep(STATE, of(kept), [library_setting(kept)])
    assert names(tx.state(STATE)) == {b"f": b"a"}
    assert names(committed(keyspace)) == {}
    tx.end_unit()
    tx.commit()
    assert names(committed(keyspace)) == names(tx.state(STATE)) == {b"f": b"a"}
    open_catalogue(keyspace)
    found = committed(keyspace).libraries[b"a"]
    assert found.code == kept.code
    [function] = found.functions
    assert function.description == b"what it does"
    assert function.flags == ("no-writes",)


def test_what_is_taken_back_was_never_there(keyspace: Keyspace) -> None:
    open_catalogue(keyspace)
    tx = Transaction(keyspace)
    tx.begin(1)
    first, second = library(b"a", b"f"), library(b"b", b"g")
    tx.keep(STATE, of(first), [library_setting(first)])
    mark = tx.mark()
    tx.keep(STATE, of(second), [(library_key(b"a"), None), library_setting(second)])
    tx.rollback_to(mark)
    assert names(tx.state(STATE)) == {b"f": b"a"}
    assert tx.settings == dict([library_setting(first)])
    tx.rollback_command()
    assert names(tx.state(STATE)) == {}
    assert not tx.dirty
    assert tx.counters.changes == 0


def test_a_library_that_cannot_be_decoded_stays(
    keyspace: Keyspace, caplog: pytest.LogCaptureFixture
) -> None:
    good = library(b"good", b"f")
    keyspace.engine.write((), [library_setting(good), (library_key(b"bad"), b"\xc1")])
    with caplog.at_level(logging.ERROR):
        open_catalogue(keyspace)
    assert list(committed(keyspace).libraries) == [b"good"]
    assert "b'bad'" in caplog.text
    assert keyspace.engine.get_setting(library_key(b"bad")) == b"\xc1"


@pytest.mark.parametrize(
    ("header", "name"),
    [(b"#!lua name=a", b"a"), (b"#!LUA  NAME=b_1\r", b"b_1"), (b"#!lua 'name=c'", b"c")],
)
def test_a_name(header: bytes, name: bytes) -> None:
    assert name_of(header + b"\nreturn") == name


@pytest.mark.parametrize("number", [10, 5000])
def test_very_many_and_very_long_ones(keyspace: Keyspace, number: int) -> None:
    """They are not one write of RocksDB's."""
    open_catalogue(keyspace)
    tx = Transaction(keyspace)
    size = 500_000 // number
    some = [Library(b"l%d" % index, b"x" * size, ()) for index in range(number)]
    tx.begin(1)
    tx.keep(STATE, of(*some), [library_setting(one) for one in some])
    tx.end_unit()
    with pytest.raises(WriteStalledError):
        tx.commit(may_wait=False)
    tx.commit()
    open_catalogue(keyspace)
    assert len(committed(keyspace).libraries) == number
    tx.begin(2)
    tx.keep(STATE, empty(), [(library_key(one.name), None) for one in some])
    tx.end_unit()
    tx.commit()
    open_catalogue(keyspace)
    assert not committed(keyspace).libraries
    assert not list(keyspace.engine.settings(b"journal:"))
