"""A long argument while it arrives. Nothing is allocated before it has come, it is copied once, and
no more than BLOCK_BYTES of it at a time. Sans-io."""

from __future__ import annotations

from io import BytesIO

from tendis_py.pieces import BLOCK_BYTES, Pieces, Text


class LongArgument:
    """``missing``: how many of its bytes have not come yet. ``in_pieces``: whether its value may be
    ``Pieces``."""

    __slots__ = ("_block", "_blocks", "_room", "_size", "_whole", "missing")

    def __init__(self, size: int, *, in_pieces: bool) -> None:
        self._size = self.missing = size
        self._block: list[bytes] = []
        self._room = BLOCK_BYTES  # for more in this block
        self._blocks: list[bytes] = []
        self._whole = None if in_pieces or size <= BLOCK_BYTES else BytesIO()
        # It grows without being copied where the allocator can move pages (large blocks: glibc).

    @property
    def received(self) -> int:
        return self._size - self.missing

    def take(self, data: bytes | memoryview) -> int:
        """Take what of ``data`` belongs to it; how many bytes that is."""
        wanted = min(len(data), self.missing)
        taken = 0
        while taken < wanted:
            part = data[taken : min(taken + self._room, wanted)]
            self._block.append(bytes(part))
            self._room -= len(part)
            taken += len(part)
            self.missing -= len(part)
            if not (self._room and self.missing):
                self._end_block()
        return taken

    def _end_block(self) -> None:
        block = b"".join(self._block)
        self._block = []
        self._room = BLOCK_BYTES
        if self._whole is None:
            self._blocks.append(block)
        else:
            self._whole.write(block)

    def give_up(self) -> None:
        """Free what has come, one block after the other."""
        while self._blocks:
            self._blocks.pop()

    def value(self) -> Text:
        """The argument, once nothing is missing."""
        if self._whole is not None:
            return self._whole.getvalue()
        return self._blocks[0] if len(self._blocks) == 1 else Pieces(self._blocks)
