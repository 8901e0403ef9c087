from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tendis_py.pieces import Pieces, Text, head, joined

parts = st.lists(st.binary(max_size=3), max_size=5)
texts = st.lists(st.one_of(st.binary(max_size=3), parts.map(Pieces)), max_size=5)


@given(parts)
def test_pieces_are_one_string(cut: list[bytes]) -> None:
    text = Pieces(cut)
    assert bytes(text) == b"".join(cut)
    assert len(text) == len(b"".join(cut))
    assert b"" not in text.parts


@given(texts)
def test_what_is_joined_is_in_pieces_if_some_of_it_was(given_texts: list[Text]) -> None:
    made = joined(given_texts)
    assert bytes(made) == b"".join(map(bytes, given_texts))
    assert isinstance(made, Pieces) == any(isinstance(one, Pieces) for one in given_texts)


def test_one_that_goes_leaves_others_their_parts() -> None:
    first = Pieces([b"a", b"b"])
    second = joined([b"0", first])
    del first
    assert bytes(second) == b"0ab"


def test_a_head_is_no_more_than_asked_for() -> None:
    assert head(Pieces([b"abc", b"d"]), 2) == head(b"abcd", 2) == b"ab"
