"""A long byte string in pieces: nobody has to make one object of it, which holds the GIL."""

from __future__ import annotations

from collections.abc import Iterable

BLOCK_BYTES = 1 << 20
"""The size of most pieces: each is taken from the system and given back for itself, in a fraction
of a millisecond (see interpreter.py)."""


class Pieces:
    """``parts`` in order, none of them empty; others may hold them, too."""

    __slots__ = ("_size", "parts")

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts: list[bytes] = []  # is there for __del__ even if ``parts`` raises
        self.parts += filter(None, parts)
        self._size = sum(map(len, self.parts))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def __del__(self) -> None:
        while self.parts:  # one by one, or freeing them would hold the GIL
            self.parts.pop()


Text = bytes | Pieces


def parts_of(text: Text) -> list[bytes]:
    return [text] if isinstance(text, bytes) else text.parts


def head(text: Text, length: int) -> bytes:
    """So many bytes from its start, or what there is of them in its first piece."""
    return parts_of(text)[0][:length]


def joined(texts: list[Text]) -> Text:
    """One after the other; in pieces if one of them is."""
    try:
        return b"".join(texts)  # type: ignore[arg-type]
    except TypeError:
        return Pieces(part for text in texts for part in parts_of(text))
