"""What the offline check says of each type: nothing of what a server wrote, and each kind of damage
by its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tendis_py.storage.check import CLEAN, FINDINGS, check_folder
from tendis_py.storage.codec import CollectionRow, decode, namespace_prefix, version_prefix
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import ENTRIES, META, ROWS, SCORE
from tendis_py.types.checks import INSPECTORS
from tendis_py.types.list.keys import MIDDLE, position
from tendis_py.types.stream.ids import make, to_key
from tendis_py.types.zset.scores import encode_score
from tests.support.servers import running, tendis_process

LOW = [
    *("--hash-max-listpack-entries", "3", "--list-max-listpack-size", "3"),
    *("--set-max-listpack-entries", "3", "--set-max-intset-entries", "3"),
    *("--zset-max-listpack-entries", "3", "--stream-node-max-entries", "2"),
]
FAR = "4102444800000"

COMMANDS = f"""
HSET small-hash a 1 b 2
HPEXPIREAT small-hash {FAR} FIELDS 1 a
HSET hash a 1 b 2 c 3 d 4 e 5
HPEXPIREAT hash {FAR} FIELDS 2 a b
RPUSH small-list a b
RPUSH list a b c d e f g
RPUSH gaps a b c d e f g
LINSERT gaps BEFORE d x
LREM gaps 1 b
SADD integers 1 2 3
SADD small-set a b
SADD set a b c d e
SIADD small-sorted 3 1
SIADD sorted 5 3 4 1 2
ZADD small-zset 1 a 2 b
ZADD zset 1 a 2 b -3 c inf d -0.0 e
XADD stream 1-1 f a
XADD stream 2-1 f b
XADD stream 3-1 f c
XADD stream 4-1 f d
XADD stream 5-1 f e
XADD stream 6-1 f f
XADD stream 7-1 f g
XDEL stream 3-1
XGROUP CREATE stream group 0
XREADGROUP GROUP group alice COUNT 3 STREAMS stream >
XREADGROUP GROUP group bob COUNT 1 STREAMS stream >
XACK stream group 2-1
XGROUP CREATE stream gone 0
XREADGROUP GROUP gone carol COUNT 3 STREAMS stream >
XGROUP DESTROY stream gone
XADD given-back 1-1 f a
XADD given-back 2-1 f b
XGROUP CREATE given-back group 0
XREADGROUP GROUP group alice STREAMS given-back >
XNACK given-back group FAIL IDS 2 2-1 1-1
XCLAIM given-back group bob 0 2-1
XADD emptied 1-1 f a
XDEL emptied 1-1
SETBIT bits 400000 1
SETBIT bits 400000 0
SETBIT bits 40000 1
SETBIT bits 300 1
SETBIT few 9 1
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a server that has run COMMANDS."""
    folder = tmp_path_factory.mktemp("data")
    server = tendis_process(folder, *LOW)
    with running(server), server.client() as client:
        for line in COMMANDS.split("\n")[1:-1]:
            reply = client.command(*line.split())
            assert not reply.startswith(b"-"), (line, reply)
    return folder / "tendis-data"


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of its own to damage."""
    return shutil.copytree(written, tmp_path / "data")


def check(folder: Path) -> tuple[int, list[str]]:
    lines: list[str] = []
    return check_folder(folder, INSPECTORS, lines.append), lines


class Surgery:
    """Writes to a data folder behind the server's back."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def row(self, key: bytes) -> CollectionRow:
        raw = self.engine.get(META, namespace_prefix(1) + key)
        assert raw is not None
        row = decode(raw)
        assert isinstance(row, CollectionRow)
        return row

    def change(self, key: bytes, **fields: object) -> None:
        """Write another meta row."""
        row = self.row(key).changed(**fields)
        self.engine.write([(META, namespace_prefix(1) + key, row.encode())])

    def put(self, key: bytes, family: int, element: bytes, value: bytes | None) -> None:
        """Write or delete a row of a large collection."""
        name = version_prefix(self.row(key).version) + element
        self.engine.write([(family, name, value)])

    def element(self, key: bytes, family: int, at: int) -> bytes:
        prefix = version_prefix(self.row(key).version)
        return list(self.engine.keys(family, prefix, prefix + b"\xff" * 9))[at][8:]


def test_what_a_server_wrote_is_sound(written: Path) -> None:
    code, lines = check(written)
    assert code == CLEAN, lines
    assert lines[1].startswith("database 0: 17 keys, 0 with a deadline; 10 large collections")


Damage = Callable[[Surgery], None]


@pytest.mark.parametrize(
    ("key", "damage", "expected"),
    [
        # In general
        ("set", lambda it: it.change(b"set", count=4), "counts 4 elements and has 5 rows in rows"),
        ("set", lambda it: it.put(b"set", ROWS, b"a", None), "counts 5 elements and has 4 rows"),
        ("small-set", lambda it: it.change(b"small-set", count=3), "counts 3 elements and has 2"),
        # Sets
        (
            "integers",
            lambda it: it.change(b"integers", value=(1, 3, 2)),
            "its integers are not in order",
        ),
        # Sorted integers
        (
            "small-sorted",
            lambda it: it.change(b"small-sorted", value=(3, 1)),
            "its integers are not in order",
        ),
        (
            "sorted",
            lambda it: it.put(b"sorted", ROWS, bytes(7) + b"\3", None),
            "counts 5 elements and has 4 rows",
        ),
        (
            "sorted",
            lambda it: it.put(b"sorted", ROWS, b"short", b""),
            "row b'short' is no integer",
        ),
        (
            "sorted",
            lambda it: it.put(b"sorted", ROWS, bytes(7) + b"\3", b"x"),
            "is no integer",
        ),
        # Sorted sets
        (
            "zset",
            lambda it: it.put(b"zset", ROWS, b"a", None),
            "member b'a' is in the order and has no score",
        ),
        (
            "zset",
            lambda it: it.put(b"zset", ROWS, b"a", bytes(8)),
            "member b'a' has a score and another one in the order",
        ),
        (
            "zset",
            lambda it: it.put(b"zset", SCORE, encode_score(7.0) + b"b", b""),
            "counts 5 elements and has 6 rows in score",
        ),
        # Hashes
        (
            "hash",
            lambda it: it.put(b"hash", SCORE, it.element(b"hash", SCORE, 0), None),
            f"field b'a': its deadline {FAR} is not indexed",
        ),
        (
            "hash",
            lambda it: it.put(b"hash", SCORE, b"\xff" * 8 + b"c", b""),
            "2 fields have a deadline and 3 are indexed",
        ),
        (
            "hash",
            lambda it: it.change(b"hash", value=bytes(8)),
            "its earliest deadline is",
        ),
        (
            "hash",
            lambda it: it.put(b"hash", ROWS, b"a", b""),
            "its rows can't be read: IndexError",
        ),
        # Lists
        (
            "list",
            lambda it: it.put(b"list", ROWS, position(MIDDLE + 99), b"x"),
            "1 elements are not between its ends",
        ),
        (
            "list",
            lambda it: it.put(b"list", ROWS, position(MIDDLE + 2), None),
            "it says it has no gaps, and has one at element 2",
        ),
        (
            "gaps",
            lambda it: it.put(b"gaps", ROWS, it.element(b"gaps", ROWS, 2), b"longer"),
            "its elements take",
        ),
        # Streams
        (
            "stream",
            lambda it: it.put(b"stream", ENTRIES, to_key(make(2, 1)), None),
            "counts 6 elements and has 5 entries",
        ),
        (
            "stream",
            lambda it: it.put(b"stream", ENTRIES, to_key(make(1, 1)), None),
            "its first entry is b'2-1', it says b'1-1'",
        ),
        (
            "stream",
            lambda it: it.put(b"stream", ENTRIES, to_key(make(9, 1)), bytes(4)),
            "entry b'9-1' is beyond its last ID b'7-1'",
        ),
        (
            "stream",
            lambda it: it.put(b"stream", ROWS, b"x", b""),
            "its groups and nodes should have 11 rows, and have 12",
        ),
        (
            "stream",
            lambda it: it.put(b"stream", ROWS, b"p" + bytes(7) + b"\1" + to_key(make(1, 1)), None),
            "group b'group': b'1-1' counts as pending with b'alice' and is not",
        ),
        (
            "stream",
            lambda it: it.put(b"stream", ROWS, it.element(b"stream", ROWS, 4), None),
            "group b'group': consumer b'alice' counts 2 pending and has 1",
        ),
        # Strings in fragments
        ("bits", lambda it: it.change(b"bits", count=9), "counts 9 elements and has 2 fragments"),
        (
            "bits",
            lambda it: it.put(b"bits", ROWS, b"\0\0\0\1", b"x\0"),
            "fragment 1 is not as it is stored",
        ),
        (
            "bits",
            lambda it: it.put(b"bits", ROWS, b"\0\1\0\0", b"x"),
            "fragment 65536 is beyond its 50001 bytes",
        ),
    ],
)
def test_damage_is_found(folder: Path, key: str, damage: Damage, expected: str) -> None:
    engine = Engine(folder)
    damage(Surgery(engine))
    engine.close()
    code, lines = check(folder)
    assert code == FINDINGS
    start = f"ERROR: database 0, key {key.encode()!r}: "
    assert any(line.startswith(start) and expected in line for line in lines), lines
