"""Which keys, values and requests are drawn."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.load.errors import LoadError
from tendis_py.load.keys import Zipf, parse_keys
from tendis_py.load.source import Mix
from tendis_py.load.templates import Drawing, compile_template
from tendis_py.load.values import parse_values
from tendis_py.load.wire import encode
from tests.support.reference import parse_requests

DRAWS = 20_000


def requests_in(data: bytes) -> list[list[bytes]]:
    parsed = parse_requests(data)
    assert parsed.complete
    assert parsed.error is None
    return parsed.requests


def chi_square(seen: Counter[int], expected: dict[int, float]) -> float:
    return sum((seen[key] - amount) ** 2 / amount for key, amount in expected.items())


def is_likely(square: float, freedom: int) -> bool:
    """Whether chi-square is below its mean and four deviations: one of 30,000 right ones is not."""
    return square < freedom + 4 * math.sqrt(2 * freedom)


def test_uniform_keys_are_uniform() -> None:
    keys = parse_keys("uniform", 50, Random(1))
    expected = dict.fromkeys(range(50), DRAWS / 50)
    assert is_likely(chi_square(Counter(keys.draw(DRAWS)), expected), 49)


@pytest.mark.parametrize("exponent", [0.5, 0.99, 1.0, 1.5, 3.0])
def test_zipf_ranks_are_as_the_law_has_them(exponent: float) -> None:
    total = 40
    zipf = Zipf(total, Random(2), exponent)
    weights = {rank: rank**-exponent for rank in range(1, total + 1)}
    whole = sum(weights.values())
    expected = {rank: DRAWS * weight / whole for rank, weight in weights.items()}
    seen = Counter(zipf.rank() for _ in range(DRAWS))
    frequent = {rank: amount for rank, amount in expected.items() if amount >= 5}
    assert set(seen) <= set(weights)
    assert is_likely(chi_square(seen, frequent), len(frequent) - 1)


def test_zipf_needs_no_table_and_scatters_its_ranks() -> None:
    drawn = Counter(parse_keys("zipf", 10**12, Random(3)).draw(2_000))
    assert drawn.most_common(1)[0][0] == 0
    assert max(drawn) > 10**11


@given(st.integers(1, 300) | st.integers(1, 10**12), st.floats(0.01, 10), st.integers())
def test_zipf_never_leaves_its_bounds(total: int, exponent: float, seed: int) -> None:
    drawn = Zipf(total, Random(seed), exponent).draw(50)
    assert all(0 <= key < total for key in drawn)


def test_a_hot_key_has_its_share() -> None:
    seen = Counter(parse_keys("hot:0.8:2", 100, Random(4)).draw(DRAWS))
    assert abs(seen[0] + seen[1] - 0.8 * DRAWS) < 4 * math.sqrt(DRAWS * 0.8 * 0.2)
    assert len(seen) == 100


def test_sequential_keys_begin_again() -> None:
    keys = parse_keys("sequential", 3, Random(1))
    assert keys.draw(2) + keys.draw(3) == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    "text", ["", "zip", "zipf:", "zipf:x", "zipf:0", "zipf:nan", "zipf:1:2", "hot:2", "hot:0.5:9"]
)
def test_other_distributions_are_refused(text: str) -> None:
    with pytest.raises(LoadError):
        parse_keys(text, 9, Random(1))


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("0", {0}), ("64", {64}), ("2-4", {2, 3, 4}), ("7*3,9", {7, 9}), ("5*0,6", {6})],
)
def test_values_are_of_the_sizes_asked_for(text: str, sizes: set[int]) -> None:
    assert {len(value) for value in parse_values(text, Random(5)).draw(200)} == sizes


def test_sizes_can_be_exponential() -> None:
    sizes = [len(value) for value in parse_values("exp:100", Random(6)).draw(DRAWS)]
    assert abs(sum(sizes) / DRAWS - 100) < 4 * 100 / math.sqrt(DRAWS)
    assert min(sizes) >= 1


def test_weights_of_sizes_hold() -> None:
    sizes = Counter(len(value) for value in parse_values("1*9,2", Random(7)).draw(DRAWS))
    assert is_likely(chi_square(sizes, {1: DRAWS * 0.9, 2: DRAWS * 0.1}), 1)


@pytest.mark.parametrize("text", ["", "x", "-1", "5-2", "1*x,2", "1*-1,2", "1*0", "exp:", "1e3"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(LoadError):
        parse_values(text, Random(1))


def test_a_value_longer_than_the_server_takes_is_refused() -> None:
    with pytest.raises(LoadError, match="at most"):
        parse_values("999999999999", Random(1))


VALUES = parse_values("3-5", Random(8))


def drawing(prefix: bytes = b"key:") -> Drawing:
    random = Random(8)
    return Drawing(random, parse_keys("sequential", 100, random), VALUES, prefix, 10)


def test_a_template_is_filled_in() -> None:
    template = compile_template("hset h:{key}:x {field} '{value} %d' {int}", drawing())
    assert template.name == "HSET"
    first, second = requests_in(b"".join(template.make(2)))
    assert first[:2] == [b"hset", b"h:key:000000000000:x"]
    assert second[1] == b"h:key:000000000001:x"
    assert first[2].startswith(b"field:00000")
    assert first[3].endswith(b" %d")
    assert 6 <= len(first[3]) <= 8
    assert 0 <= int(first[4]) < 1_000_000


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=4))
def test_words_without_placeholders_are_sent_as_they_are(words: list[bytes]) -> None:
    words = [b"CMD", *(word.replace(b"{", b"%") for word in words)]
    quoted = " ".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words)
    [request] = compile_template(quoted, drawing()).make(1)
    assert request == encode(words)


def test_percent_signs_in_the_prefix_are_kept() -> None:
    [request] = compile_template("GET {key}", drawing(b"%d:")).make(1)
    assert requests_in(request) == [[b"GET", b"%d:000000000000"]]


@pytest.mark.parametrize(
    "text", ["", "  ", "GET 'a", "GET {name}", "SUBSCRIBE a", "client reply x"]
)
def test_what_can_be_no_template_is_refused(text: str) -> None:
    with pytest.raises(LoadError):
        compile_template(text, drawing())


def test_a_mix_keeps_its_weights_and_names_each_request() -> None:
    parts = drawing()
    weighted = [("GET {key}", 3.0), ("SET {key} {value}", 1.0), ("get other", 1.0)]
    mix = Mix([(compile_template(text, parts), weight) for text, weight in weighted], Random(9))
    assert mix.names == ["GET", "SET"]
    seen: Counter[str] = Counter()
    while seen.total() < DRAWS:
        data, kinds = mix.take(7)
        names = [mix.names[kind] for kind in kinds]
        assert [request[0].upper().decode() for request in requests_in(data)] == names
        seen.update(names)
    expected = {"GET": seen.total() * 0.8, "SET": seen.total() * 0.2}
    assert sum((seen[name] - n) ** 2 / n for name, n in expected.items()) < 16


def test_a_mix_gives_as_many_as_asked_for() -> None:
    mix = Mix([(compile_template("GET {key}", drawing()), 1.0)], Random(1))
    taken = [mix.take(amount) for amount in (1, 63, 1, 200, 5)]
    assert [len(kinds) for _, kinds in taken] == [1, 63, 1, 200, 5]
    numbers = [int(key[-12:]) for data, _ in taken for _, key in requests_in(data)]
    assert numbers == [number % 100 for number in range(270)]
