"""Payloads that nobody has dumped: refused, or taken for a value that is sound; nothing else."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.rdb import payload
from tendis_py.rdb.errors import CorruptError
from tendis_py.storage.check import CLEAN, check_folder
from tendis_py.storage.database import Database
from tendis_py.types.checks import INSPECTORS
from tests.support.payloads import footed
from tests.support.resp import RawClient
from tests.support.servers import running, tendis_process
from tests.support.store import Store

FAR = 4_102_444_800_000

SETUP = f"""
SET string some-text-of-more-than-twenty-bytes-bytes-bytes-bytes
SET integer 12345
RPUSH list a 12 -70000 {"z" * 70}
RPUSH quicklist {"a" * 9000} b
SADD set a 5 zz
SADD integers 1 2 70000
ZADD zset 1.5 a 2 b 1e300 c
HSET hash f v g 1
HSET dated f v g 1 h 2
HPEXPIREAT dated {FAR} FIELDS 2 f g
HSET large f {"v" * 70} g 1 h 2
HPEXPIREAT large {FAR} FIELDS 2 f g
XADD stream 1-1 a 1 b c
XADD stream 1-2 a 1 b d
XADD stream 5-1 q r
XDEL stream 1-2
XGROUP CREATE stream g 0
XREADGROUP GROUP g alice COUNT 1 STREAMS stream >
XREADGROUP GROUP g bob COUNT 1 STREAMS stream >
"""

OLD = tuple(
    map(
        bytes.fromhex,
        (
            "0a 20 20000000 1a000000 0600 000161 03026262 04fe05 03f3 02c0d4fe 04f0ffff7f ff",
            "0c 18 18000000 12000000 0400 000161 03f3 020162 0303312e35 ff",
            "0d 16 16000000 13000000 0400 000166 030176 030167 03f4 ff",
            "0e 01 11 11000000 0d000000 0200 000161 030162 ff",
            "09 0f 02 0166 02007676 0167 01027700 00 ff",
            "03 03 0161 03312e35 0162 fe 0163 ff",
            "01 03 0161 026262 c005",
            "02 03 0161 026262 c005",
            "04 02 0161 026262 0163 c005",
        ),
    )
)
"""Encodings that Redis does not write any more."""


@pytest.fixture(scope="session")
def corpus(real: RawClient) -> list[bytes]:
    """Values of every kind as the real server serialises them, without what follows."""
    real.command("FLUSHALL")
    for line in SETUP.split("\n"):
        if line:
            assert not real.command(*line.split()).startswith(b"-")
    keys = sorted(real.value("KEYS", "*"))
    return [*OLD, *[real.value("DUMP", key)[:-10] for key in keys]]


def tried(store: Store, content: bytes) -> bool:
    """Whether it is a value; and if so one that can be written again."""
    try:
        row = payload.restore(store.db, footed(content))
        bytes(payload.dump(store.db, row))
    except CorruptError:
        return False
    finally:
        store.tx.rollback()
    return True


def test_old_encodings(store: Store, real: RawClient, corpus: list[bytes]) -> None:
    for content in corpus:
        row = payload.restore(store.db, footed(content))
        assert real.command("RESTORE", "k", 0, footed(content), "REPLACE") == b"+OK\r\n"
        sent = bytes(payload.dump(store.db, row))
        assert real.command("RESTORE", "back", 0, sent, "REPLACE") == b"+OK\r\n"
        assert (
            real.value("DEBUG", "DIGEST-VALUE", "k", "back")[0]
            == real.value("DEBUG", "DIGEST-VALUE", "back")[0]
        )


def test_what_is_cut_off_is_refused(store: Store, corpus: list[bytes]) -> None:
    for content in corpus:
        for size in {*range(min(len(content), 60)), len(content) - 1}:
            with pytest.raises(CorruptError):
                payload.read(store.db, payload.Source([content[:size]], size))
            store.tx.rollback()


def changed(content: bytes, draw: random.Random) -> bytes:
    made = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(made) + 1)
        match draw.randrange(6):
            case 0:
                made[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                made[at : at + 1] = draw.choice(
                    (b"\0", b"\x7f", b"\x81", b"\xc3", b"\xfe", b"\xff")
                )
            case 2:
                del made[at : at + draw.randrange(1, 9)]
            case 3:
                made[at:at] = made[at : at + draw.randrange(1, 20)]
            case 4:
                size = draw.choice((2**31, 2**60, 2**64 - 1))
                made[at : at + draw.choice((0, 1))] = b"\x81" + size.to_bytes(8, "big")
            case 5:
                made[:1] = bytes([draw.randrange(30)])
    return bytes(made)


def test_what_was_changed_is_refused_or_sound(store: Store, corpus: list[bytes]) -> None:
    draw = random.Random(16)
    outcomes = [tried(store, changed(draw.choice(corpus), draw)) for _ in range(1500)]
    assert 0 < sum(outcomes) < len(outcomes)


def twice(form: int, *parts: bytes) -> bytes:
    return bytes([form]) + b"".join(parts)


def listpack(*entries: bytes) -> bytes:
    body = b"".join(
        bytes([0x80 | len(entry)]) + entry + bytes([len(entry) + 1]) for entry in entries
    )
    raw = struct.pack("<IH", 7 + len(body), len(entries)) + body + b"\xff"
    return bytes([len(raw)]) + raw


ABSURD = [
    twice(2, b"\x02\x01a\x01a"),
    twice(4, b"\x02\x01a\x01b\x01a\x01c"),
    twice(5, b"\x02\x01a" + bytes(8) + b"\x01a" + bytes(8)),
    twice(5, b"\x01\x01a" + struct.pack("<d", float("nan"))),
    twice(3, b"\x01\x01a\xfd"),
    twice(20, listpack(b"a", b"b", b"a")),
    twice(16, listpack(b"a", b"b", b"a", b"c")),
    twice(16, listpack(b"a", b"b", b"c")),
    twice(17, listpack(b"a", b"1", b"a", b"2")),
    twice(20, listpack()),
    *(bytes([form, 0]) for form in (1, 2, 3, 4, 5, 14, 18)),
    b"\x12\x01\x02" + listpack(),
    b"\x12\x01\x03" + listpack(b"a"),
    b"\x12\x01\x01\0",
    b"\x18" + struct.pack("<q", FAR) + b"\x01\x81" + struct.pack(">Q", 2**48) + b"\x01f\x01v",
    b"\x06\x01",
    b"\x07\x81" + bytes(8),
    b"\x1a\0",
    b"\xff",
]


@pytest.mark.parametrize("content", ABSURD, ids=range(len(ABSURD)))
def test_what_contradicts_itself(db: Database, real: RawClient, content: bytes) -> None:
    with pytest.raises(CorruptError):
        payload.restore(db, footed(content))
    assert (
        real.command("RESTORE", "k", 0, footed(content), "REPLACE") == b"-ERR Bad data format\r\n"
    )


def test_scores_that_are_none(store: Store) -> None:
    """Redis takes them as far as they are numbers."""
    for score in (b"nan", b"1.5x", b"", b"0x1"):
        assert not tried(store, twice(17, listpack(b"a", score)))


def test_lengths_of_what_is_not_there(store: Store) -> None:
    for form in range(26):
        for size in (2**31, 2**60, 2**64 - 1):
            head = bytes([form]) + bytes(8 if form > 23 else 0) + b"\x81" + size.to_bytes(8, "big")
            for rest in (bytes(40), b"\x01a" * 40, b"\xc3" + b"\x81\x10" * 30):
                tried(store, head + rest)
    assert not tried(store, b"\0\xc3\x02\x81\x7f" + bytes(7) + b"\0a")


@pytest.mark.soak
def test_ten_minutes_of_it(tmp_path: Path, corpus: list[bytes]) -> None:
    """The server stays up, in bounded memory, and its folder is sound."""
    draw = random.Random(time.time())
    with running(tendis_process(tmp_path)) as server, server.client() as client:
        for deadline in until(600):
            requests: list[list[bytes]] = [
                [b"RESTORE", b"k%d" % draw.randrange(20), b"0", footed(content), b"REPLACE"]
                for content in (changed(draw.choice(corpus), draw) for _ in range(100))
            ]
            replies = set(client.pipeline(requests))
            assert replies <= {b"+OK\r\n", b"-ERR Bad data format\r\n"}, deadline
        assert client.command("PING") == b"+PONG\r\n"
        assert server.peak_bytes() < 300 << 20
        assert "Traceback" not in server.log
    assert check_folder(tmp_path / "tendis-data", INSPECTORS, print) == CLEAN


def until(seconds: float) -> Iterator[float]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield end
