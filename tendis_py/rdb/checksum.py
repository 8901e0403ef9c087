"""CRC-64 as Redis computes it (Jones' polynomial, reflected)."""

from __future__ import annotations

import crcmod

SIZE = 8
STEP_BYTES = 1 << 17
"""What a call should go over at the most: it holds the GIL, for 0.3 ms."""

_crc64 = crcmod.mkCrcFun(0x1AD93D23594C935A9, initCrc=0, rev=True, xorOut=0)


def crc64(data: bytes | memoryview, before: int = 0) -> int:
    """The sum of what has the sum ``before``, with ``data`` after it."""
    return _crc64(data, before)
