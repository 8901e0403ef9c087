"""Key specifications against the real server: all that its commands have, and what they find."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.commands.key_specs import Keys, NoKeysError, all_positions, legacy_range, movable
from tests.support.documentation import as_pairs
from tests.support.reference import split_arguments
from tests.support.resp import Aggregate, Error, Simple
from tests.support.servers import ServerProcess

FOUND_OTHERWISE = {"sort", "sort_ro", "migrate"}
"""Commands whose specifications leave keys out."""

REQUESTS = """
GET a
MSET a 1 b 2 c 3
MSET a 1 b
DEL a
DEL a b a
BLPOP a b 0
LCS a b
OBJECT ENCODING a
XGROUP CREATE a g $
ZUNIONSTORE d 2 a b
ZUNIONSTORE d 1 a b
ZUNIONSTORE d 3 a b
ZUNIONSTORE d 0 a b
ZUNIONSTORE d -1 a b
ZUNIONSTORE d x a b
ZMPOP 2 a b MIN
LMPOP 1 a LEFT
BLMPOP 0 2 a b LEFT
SINTERCARD 2 a b LIMIT 1
EVAL s 2 a b c
EVAL s 0
EVAL s 9 a
EVAL s x a
FCALL f 1 a
XREAD STREAMS a b 0 0
XREAD COUNT 1 streams a 0
XREAD COUNT 1 STREAMS a b 0
XREAD COUNT 1 BLOCK 3
XREAD STREAMS STREAMS a 0 0
XREADGROUP GROUP STREAMS c STREAMS a 0
GEORADIUS k 1 2 3 m
GEORADIUS k 1 2 3 m STORE a
GEORADIUS k 1 2 3 m STOREDIST a STORE b
GEORADIUS k 1 2 3 m STORE
PFCOUNT a b
SPUBLISH channel message
"""


def specification(entry: Aggregate) -> Keys:
    """One of COMMAND INFO's."""
    fields = {key.decode(): value for key, value in as_pairs(entry)}
    begin, find = (dict(as_pairs(fields[name])) for name in ("begin_search", "find_keys"))
    at, how = dict(as_pairs(begin[b"spec"])), dict(as_pairs(find[b"spec"]))
    flags = " ".join(flag.text for flag in fields["flags"].items)
    if begin[b"type"] == b"unknown":
        return Keys(flags, unknown=True)
    if find[b"type"] == b"keynum":
        assert how[b"keynumidx"] == 0
        index = at[b"index"]
        return Keys(flags, index + how[b"firstkey"], step=how[b"keystep"], count=index)
    ends = {"last": how[b"lastkey"], "step": how[b"keystep"], "limit": how[b"limit"]}
    if begin[b"type"] == b"keyword":
        return Keys(flags, at[b"startfrom"], keyword=at[b"keyword"].decode(), **ends)
    return Keys(flags, at[b"index"], **ends)


def test_the_range_and_movablekeys_follow_from_the_specifications(
    table: dict[str, list[Any]],
) -> None:
    for name, row in table.items():
        specs = [specification(entry) for entry in row[8].items]
        assert list(legacy_range(specs)) == row[3:6], name
        assert movable(specs) == (Simple("movablekeys") in row[2].items), name


@pytest.mark.parametrize("line", REQUESTS.strip().splitlines())
def test_keys_are_those_of_command_getkeys(
    line: str, table: dict[str, list[Any]], redis_server: ServerProcess
) -> None:
    request = split_arguments(line.encode())
    name = request[0].decode().lower()
    row = table.get(f"{name}|{request[1].decode().lower()}") or table[name]
    specs = [specification(entry) for entry in row[8].items]
    assert name not in FOUND_OTHERWISE
    try:
        found = [
            [request[at], Aggregate("~", [Simple(word) for word in spec.words])]
            for at, spec in all_positions(specs, request)
        ]
    except NoKeysError:
        found = []
    with redis_server.client(protocol=3) as client:
        answer = client.value("COMMAND", "GETKEYSANDFLAGS", *request)
    assert found == ([] if isinstance(answer, Error) else answer)


def test_the_word_before_the_end_is_looked_for_backwards() -> None:
    spec = Keys("RW", first=-2, last=-1, keyword="KEYS")
    assert list(spec.positions(b"MIGRATE h 1 KEYS 0 10 KEYS a b".split())) == [7, 8]
    assert list(spec.positions(b"MIGRATE h 1 k 0 10".split())) == []


def test_what_no_rule_finds_is_an_error() -> None:
    with pytest.raises(NoKeysError):
        Keys("RO", unknown=True).positions([b"SORT", b"a"])


def test_unknown_flags_are_refused() -> None:
    with pytest.raises(ValueError, match="reading"):
        Keys("RO reading")
