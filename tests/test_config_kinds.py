"""Every kind of value: what it accepts, what it says when it does not, how it prints."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.config import settings
from tendis_py.config.buffer_limits import BufferLimit, BufferLimits, OutputBufferLimits
from tendis_py.config.kinds import (
    Directory,
    EngineOptions,
    Enumeration,
    Integer,
    Kind,
    MemorySize,
    Octal,
    Only,
    Percentiles,
    Text,
    Words,
    YesNo,
    format_memory,
    parse_memory,
    quote,
)
from tendis_py.config.machine import available_memory
from tendis_py.config.settings import DIRECTIVES, Settings, default_memtable_size
from tendis_py.config.special_kinds import CollectorUrl, Ratio
from tendis_py.config.syntax import decode, split_words

LIMITS = BufferLimits(BufferLimit(0, 0, 0), BufferLimit(1, 2, 3), BufferLimit(4, 5, 6))
NOT_INTEGER = "argument couldn't be parsed into an integer"
NOT_MEMORY = "argument must be a memory value"
NOT_URL = "argument must be an http:// or https:// URL"
NOT_NUMBER = "argument couldn't be parsed into a number"
NO_URLS = ("h:4318", "ftp://h", "http://", "http://h/?a", "http://h h", "http://me:pw@h")
NEGATIVE = "argument must be greater or equal to 0"


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        (Integer(0, 10), ["10"], 10),
        (Integer(-5, 5), ["-5"], -5),
        (Integer(0, 1000, clamp=(1, 500)), ["0"], 1),
        (Integer(0, 1000, clamp=(1, 500)), ["501"], 500),
        (Integer(0, 1000, clamp=(1, 500)), ["77"], 77),
        (MemorySize(), ["1k"], 1000),
        (MemorySize(), ["1KB"], 1024),
        (MemorySize(), ["3m"], 3_000_000),
        (MemorySize(), ["3mb"], 3 * 1024 * 1024),
        (MemorySize(), ["1g"], 10**9),
        (MemorySize(), ["2Gb"], 2 * 1024**3),
        (MemorySize(), ["12b"], 12),
        (Octal(0o777), ["700"], 0o700),
        (YesNo(), ["YES"], True),
        (YesNo(), ["no"], False),
        (Enumeration(("one", "two")), ["TWO"], "two"),
        (Text(), ["a b"], "a b"),
        (Words(3, ""), ["a b"], ["a", "b"]),
        (Words(3, ""), ["a", "b"], ["a", "b"]),
        (Words(3, ""), [""], []),
        (Words(3, ""), [], []),
        (Percentiles(), ["50 99.9"], [50.0, 99.9]),
        (Only(MemorySize(), 0, "no"), ["0kb"], 0),
        (CollectorUrl(), [""], ""),
        (CollectorUrl(), ["http://h:4318"], "http://h:4318"),
        (CollectorUrl(), ["https://[::1]/a/b"], "https://[::1]/a/b"),
        (Ratio(), ["0"], 0.0),
        (Ratio(), [".25"], 0.25),
        (Ratio(), ["1e-3"], 0.001),
        (Ratio(), ["1.0"], 1.0),
    ],
)
def test_accepts(kind: Kind[Any], words: list[str], value: object) -> None:
    assert kind.parse(words, None) == value


@pytest.mark.parametrize(
    ("kind", "words", "reason"),
    [
        *[(CollectorUrl(), [word], NOT_URL) for word in NO_URLS],
        *[(Ratio(), [word], NOT_NUMBER) for word in ("", "-1", "nan", "1x")],
        (Ratio(), ["1.01"], "argument must be between 0 and 1 inclusive"),
        (Integer(), [], "wrong number of arguments"),
        (Integer(), ["1", "2"], "wrong number of arguments"),
        *((Integer(), [word], NOT_INTEGER) for word in ("", "+5", "05", " 5", "0x5", "-0", "1k")),
        (Integer(), ["٣"], NOT_INTEGER),
        (Integer(), ["9" * 5000], NOT_INTEGER),
        (Integer(2, 9), ["1"], "argument must be between 2 and 9 inclusive"),
        (Integer(2, 9), ["-1"], "argument must be between 2 and 9 inclusive"),
        (Integer(2, 9, unsigned=True), ["-1"], NEGATIVE),
        (Integer(2, 9, unsigned=True), ["10"], "argument must be between 2 and 9 inclusive"),
        *((MemorySize(), [word], NOT_MEMORY) for word in ("-5", "1tb", "1.5gb", "5mx", " 1", "1 ")),
        (MemorySize(1000, 2000), ["1b"], "argument must be between 1000 and 2000 inclusive"),
        (Octal(0o777), ["8"], "argument couldn't be parsed as an octal number"),
        (Octal(0o777), ["1000"], "argument must be between 0 and 777 inclusive"),
        (Octal(0o777), ["-1"], NEGATIVE),
        (YesNo(), ["1"], "argument must be 'yes' or 'no'"),
        (Enumeration(("a", "b")), ["c"], "argument(s) must be one of the following: a, b"),
        (Words(2, "Too many."), ["a b c"], "Too many."),
        (Percentiles(), ["50 x"], "Invalid latency-tracking-info-percentiles parameters"),
        (
            Percentiles(),
            ["nan"],
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        (Directory(), ["/nonexistent"], "No such file or directory"),
        (Directory(), ["/dev/null"], "Not a directory"),
        (Directory(), [""], "No such file or directory"),
        (Only(MemorySize(), 0, "not here"), ["1"], "not here"),
        (Only(MemorySize(), 0, "not here"), ["x"], NOT_MEMORY),
        (EngineOptions(), ["name"], "wrong number of arguments"),
        (
            EngineOptions(),
            ["a-b", "1"],
            "an option name is made of letters, digits and underscores",
        ),
    ],
)
def test_refuses(kind: Kind[Any], words: list[str], reason: str) -> None:
    with pytest.raises(ValueError) as refusal:
        kind.parse(words, {})
    assert str(refusal.value) == reason


def test_buffer_limits_change_only_the_classes_named() -> None:
    kind = OutputBufferLimits()
    changed = kind.parse(["slave 1mb 2kb 9"], LIMITS)
    assert changed == BufferLimits(LIMITS.normal, BufferLimit(2**20, 2048, 9), LIMITS.pubsub)
    assert kind.parse(["pubsub", "7", "8", "9"], LIMITS).pubsub == BufferLimit(7, 8, 9)
    assert kind.format(changed) == "normal 0 0 0 slave 1048576 2048 9 pubsub 4 5 6"
    assert kind.lines(changed) == ["normal 0 0 0", "replica 1mb 2kb 9", "pubsub 4 5 6"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("normal 1 2", "Wrong number of arguments in buffer limit configuration."),
        ("master 1 2 3", "Invalid client class specified in buffer limit configuration."),
        (
            "normal 1 2 -3",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
    ],
)
def test_buffer_limits_refuse(words: str, reason: str) -> None:
    with pytest.raises(ValueError) as refusal:
        OutputBufferLimits().parse([words], LIMITS)
    assert str(refusal.value) == reason


def test_engine_options_gather_and_an_empty_value_removes() -> None:
    kind = EngineOptions()
    options = kind.parse(["b", "2"], kind.parse(["a", "1"], {}))
    assert options == {"a": "1", "b": "2"}
    assert kind.parse(["a", ""], options) == {"b": "2"}
    assert options == {"a": "1", "b": "2"}


@pytest.mark.parametrize("directive", DIRECTIVES, ids=lambda it: it.name)
def test_every_default_is_read_back_from_what_is_printed(directive: Any) -> None:
    default = getattr(Settings(), directive.attribute)
    if directive.is_family:
        assert default == {}
        return
    value = default
    for line in directive.kind.lines(default):
        value = directive.kind.parse([decode(word) for word in split_words(line.encode())], value)
    assert value == default
    if directive.runtime:  # CONFIG SET takes back what CONFIG GET says
        assert directive.kind.parse([directive.kind.format(default)], default) == default
    assert directive.help
    assert directive.kind.accepts()


def test_defaults_are_not_shared() -> None:
    Settings().bind.append("elsewhere")
    assert Settings().bind == ["*", "-::*"]


@given(st.integers(0, 2**63 - 1))
def test_memory_round_trip(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@given(st.integers(0, 2**40), st.sampled_from([2**10, 2**20, 2**30]))
def test_memory_is_printed_in_its_unit(count: int, unit: int) -> None:
    assert not format_memory(count * unit).isdecimal() or count == 0


@given(st.binary())
def test_quoting_survives_any_bytes(raw: bytes) -> None:
    assert split_words(quote(decode(raw)).encode("ascii")) == [raw]


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "4096", "a/memory.max": "8192"}, 4096),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "8192"}, 8192),
        ("0::/\n", {"memory.max": "4096"}, 4096),
        ("2:cpu:/z\n5:memory:/j\n", {"memory/j/memory.limit_in_bytes": "4096"}, 4096),
        ("2:cpu:/z\n5:memory:/j\n", {"memory/memory.limit_in_bytes": "4096"}, 4096),
        ("0::/\n", {"memory.max": "max"}, None),
    ],
)
def test_cgroup_limits(
    tmp_path: Path, membership: str, files: dict[str, str], limit: int | None
) -> None:
    physical = available_memory(tmp_path)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert available_memory(tmp_path) == (limit or physical)
    assert physical > 2**26


@pytest.mark.parametrize(
    ("memory_mb", "rows_mb", "blocks_mb"),
    [(8, 1, 1), (256, 16, 8), (1024, 64, 32), (4096, 256, 64), (65536, 512, 128)],
)
def test_the_caches_are_sized_by_the_memory(
    monkeypatch: pytest.MonkeyPatch, memory_mb: int, rows_mb: int, blocks_mb: int
) -> None:
    monkeypatch.setattr(settings, "available_memory", lambda: memory_mb << 20)
    sized = settings.Settings()
    assert (sized.cache_size >> 20, sized.block_cache_size >> 20) == (rows_mb, blocks_mb)


@pytest.mark.parametrize("memory_mb", [64, 100, 128, 256, 512, 1024, 1536, 2048, 8192])
def test_the_defaults_fit_into_a_small_container(
    monkeypatch: pytest.MonkeyPatch, memory_mb: int
) -> None:
    monkeypatch.setattr(settings, "available_memory", lambda: memory_mb << 20)
    sized = settings.Settings()
    data = sized.cache_size * 5 // 4 + sized.block_cache_size + default_memtable_size()
    assert data <= (memory_mb << 20) / 5
