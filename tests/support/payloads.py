"""Payloads for RESTORE, made by hand."""

from __future__ import annotations

from tendis_py.rdb.checksum import crc64


def footed(content: bytes, version: int = 12) -> bytes:
    """A type and a value, with the version and the checksum after it."""
    content += version.to_bytes(2, "little")
    return content + crc64(content).to_bytes(8, "little")
