"""A long argument while it arrives: at its end nothing is left to copy, and nothing is allocated
before it has come. Sans-io."""

from __future__ import annotations

from io import BytesIO

from tendis_py.pieces import BLOCK_BYTES, Pieces, Text


class LongArgument:
    """``missing``: how many of its bytes have not come yet. ``in_pieces``: whether its value may be
    ``Pieces``."""

    __slots__ = ("_block", "_block_bytes", "_blocks", "_size", "missing")

    def __init__(self, size: int, *, in_pieces: bool) -> None:
        self._size = self.missing = size
        self._block_bytes = BLOCK_BYTES if in_pieces else size
        self._block = BytesIO()  # whose getvalue is no copy
        self._blocks: list[bytes] = []

    @property
    def received(self) -> int:
        return self._size - self.missing

    def take(self, data: bytes | memoryview) -> int:
        """Take what of ``data`` belongs to it; how many bytes that is."""
        wanted = min(len(data), self.missing)
        taken = 0
        while taken < wanted:
            room = min(self._block_bytes - self._block.tell(), wanted - taken)
            taken += self._block.write(data[taken : taken + room])
            if self._block.tell() == self._block_bytes:
                self._blocks.append(self._block.getvalue())
                self._block = BytesIO()
        self.missing -= taken
        return taken

    def value(self) -> Text:
        """The argument, once nothing is missing."""
        if len(self._blocks) == 1 and not self._block.tell():
            return self._blocks[0]
        return Pieces([*self._blocks, self._block.getvalue()])
