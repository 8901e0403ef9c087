"""What the data folder keeps of a library of functions: a setting for each, with its code and what
that has registered, so that a start need not run it."""

from __future__ import annotations

from dataclasses import dataclass

import msgpack

LIBRARY_SETTING = b"library:"  # + name → code, functions

LONGEST_CODE = 4 << 20
"""Bytes of a library that are handed on in one piece, which holds the GIL, in some milliseconds."""

FLAGS = ("no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys")
"""What a function may say of itself, in the order in which Redis lists it."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """``flags`` in the order of FLAGS. Equal to itself only, and so a key that costs nothing."""

    name: bytes
    description: bytes | None
    flags: tuple[str, ...]

    @property
    def only_reads(self) -> bool:
        return FLAGS[0] in self.flags


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """``code`` begins with the line that names it; ``functions`` in the order in which it registers
    them."""

    name: bytes
    code: bytes
    functions: tuple[Function, ...]


def library_setting(library: Library) -> tuple[bytes, bytes]:
    functions = [(one.name, one.description, one.flags) for one in library.functions]
    return library_key(library.name), msgpack.packb((library.code, functions))


def library_key(name: bytes) -> bytes:
    return LIBRARY_SETTING + name


def read_library(key: bytes, value: bytes) -> Library:
    """The library of a setting. ValueError: it can't be decoded."""
    name = key.removeprefix(LIBRARY_SETTING)
    try:
        code, functions = msgpack.unpackb(value)
        made = tuple(
            Function(function, description, tuple(flags))
            for function, description, flags in functions
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"library {name!r}: {error}") from error
    return Library(name, code, made)
