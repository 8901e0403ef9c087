"""The order-preserving encoding of scores."""

from __future__ import annotations

import math
import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tendis_py.types.zset.scores import (
    after,
    before,
    decode_score,
    decode_scores,
    encode_score,
    is_negative_zero,
    pack_score,
    unpack_score,
)

SMALLEST = math.ulp(0.0)
LARGEST = math.nextafter(math.inf, 0)

scores = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, SMALLEST, -SMALLEST, LARGEST, -LARGEST, math.inf, -math.inf, 1.0, -1.0]
)


@given(scores)
def test_a_score_survives_but_for_the_sign_of_zero(score: float) -> None:
    assert decode_score(encode_score(score)) == score
    assert decode_score(encode_score(score) + b"member") == score
    assert struct.pack(">d", unpack_score(pack_score(score))) == struct.pack(">d", score)


@given(st.lists(scores | st.sampled_from([0.0, -0.0, math.inf, -math.inf])))
def test_scores_together_are_as_alone(scores: list[float]) -> None:
    encoded = [encode_score(score) + b"member" for score in scores]
    alone = [struct.pack(">d", decode_score(one)) for one in encoded]
    assert [struct.pack(">d", score) for score in decode_scores(encoded)] == alone


@given(scores, scores)
def test_encoded_scores_are_in_the_order_of_numbers(first: float, second: float) -> None:
    one, other = encode_score(first), encode_score(second)
    assert (one < other, one == other) == (first < second, first == second)


def test_special_scores_in_order() -> None:
    ordered = [-math.inf, -LARGEST, -1.0, -SMALLEST, 0.0, SMALLEST, 1.0, LARGEST, math.inf]
    for lower, higher in pairwise(ordered):
        assert encode_score(lower) < encode_score(higher)
    assert encode_score(-0.0) == encode_score(0.0)


def test_a_negative_zero_is_told_from_others() -> None:
    assert is_negative_zero(-0.0)
    assert not any(map(is_negative_zero, (0.0, -1.0, -SMALLEST, -math.inf)))


@given(scores)
def test_nothing_lies_between_a_score_and_the_place_after_it(score: float) -> None:
    start, end = before(score), after(score)
    assert start is not None
    assert start <= (score, b"")
    assert end is None or (score, b"\xff" * 9) < end
    assert (end is None) == (score == math.inf)
