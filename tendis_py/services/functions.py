"""The functions there are: libraries by name, functions by theirs, and what may become of them.

A ``Catalogue`` that others know is never changed but replaced, whole. The keyspace keeps the one
that is committed, a transaction its own until then. Knows no Lua.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from tendis_py.config.syntax import split_words
from tendis_py.errors import (
    LIBRARY_HEADER_INVALID,
    LIBRARY_HEADER_MISSING,
    LIBRARY_NAME,
    LIBRARY_NAMED_TWICE,
    LIBRARY_NOT_FOUND,
    LIBRARY_TOO_LONG,
    LIBRARY_WITHOUT_NAME,
    ReplyError,
    function_exists,
    joined_library_exists,
    library_exists,
    library_metadata,
    unknown_engine,
)
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.libraries import (
    LIBRARY_SETTING,
    LONGEST_CODE,
    Function,
    Library,
    read_library,
)

log = logging.getLogger(__name__)

STATE = "functions"
"""What the keyspace and transactions keep the catalogue under."""

_NAME = re.compile(rb"[A-Za-z0-9_]+")

_LIBRARY_BYTES = 400
_FUNCTION_BYTES = 300
"""About what each takes besides its texts."""
_BYTES_LIKE_A_ROW = 512


class Catalogue:
    """``functions``: by name in lower case, for two that differ in their case only are one to
    Redis; each with its library. ``registered``: how many there are if one does tell the case.
    ``bytes``: about what all of it takes."""

    __slots__ = ("bytes", "functions", "libraries", "registered")

    def __init__(
        self,
        libraries: dict[bytes, Library],
        functions: dict[bytes, tuple[Library, Function]],
        registered: int,
        size: int,
    ) -> None:
        self.libraries = libraries
        self.functions = functions
        self.registered = registered
        self.bytes = size

    @property
    def rows(self) -> int:
        """In whose time all of it is gone through."""
        return self.bytes // _BYTES_LIKE_A_ROW

    def find(self, name: bytes) -> tuple[Library, Function] | None:
        return self.functions.get(name) or self.functions.get(name.lower())

    def check_new(self, name: bytes) -> None:
        """ReplyError if there is such a library."""
        if name in self.libraries:
            raise ReplyError(library_exists(name))

    def with_library(self, library: Library) -> Catalogue:
        """With ``library`` in place of the one of its name. ReplyError: another has a function of
        the same name as one of its."""
        return self._with((library,))

    def without_library(self, name: bytes) -> Catalogue:
        """ReplyError where there is none of that name."""
        if name not in self.libraries:
            raise ReplyError(LIBRARY_NOT_FOUND)
        remaining = self._copy()
        remaining._remove(name)
        return remaining

    def joined(self, other: Catalogue, *, replaces: bool) -> Catalogue:
        """With all libraries of ``other``, in place of those of their names if it ``replaces``
        them. ReplyError if it does not and there are such, or for a function of another library."""
        if not replaces:
            for name in other.libraries:
                if name in self.libraries:
                    raise ReplyError(joined_library_exists(name))
        return self._with(other.libraries.values())

    def _with(self, libraries: Iterable[Library]) -> Catalogue:
        made = self._copy()
        for library in libraries:
            if library.name in made.libraries:
                made._remove(library.name)
        for library in libraries:
            made.add(library)
        return made

    def _copy(self) -> Catalogue:
        libraries, functions = self.libraries.copy(), self.functions.copy()
        return Catalogue(libraries, functions, self.registered, self.bytes)

    def _remove(self, name: bytes) -> None:
        library = self.libraries.pop(name)
        self.bytes -= _size(library)
        self.registered -= len(library.functions)
        for function in library.functions:
            known = self.functions.get(function.name.lower())
            if known is not None and known[0] is library:
                del self.functions[function.name.lower()]

    def add(self, library: Library) -> None:
        """As ``with_library``, of one that nobody else has seen yet, and a library that is new."""
        self.check_new(library.name)
        for function in library.functions:
            if function.name.lower() in self.functions:
                raise ReplyError(function_exists(function.name))
        self.libraries[library.name] = library
        self.bytes += _size(library)
        self.registered += len(library.functions)
        for function in library.functions:
            self.functions.setdefault(function.name.lower(), (library, function))


def empty() -> Catalogue:
    return Catalogue({}, {}, 0, 0)


def _size(library: Library) -> int:
    texts = len(library.name) + len(library.code)
    for function in library.functions:
        texts += _FUNCTION_BYTES + len(function.name) + len(function.description or b"")
    return _LIBRARY_BYTES + texts


def open_catalogue(keyspace: Keyspace) -> None:
    """Have ``keyspace`` keep the catalogue of the libraries that its folder has. One that can't be
    decoded stays there."""
    catalogue = empty()
    for key, value in keyspace.engine.settings(LIBRARY_SETTING):
        try:
            catalogue.add(read_library(key, value))
        except (ValueError, ReplyError) as error:
            log.error("a library of functions can't be used, and is left as it is: %s", error)
    keyspace.states[STATE] = catalogue


def committed(keyspace: Keyspace) -> Catalogue:
    found: Catalogue = keyspace.states[STATE]
    return found


def check_name(name: bytes) -> None:
    """ReplyError unless it is one for a library or a function."""
    if not _NAME.fullmatch(name):
        raise ReplyError(LIBRARY_NAME)


def name_of(code: bytes) -> bytes:
    """The name that the first line of a library's code gives it. ReplyError if it does not say so
    as it should, is not in Lua, or too long."""
    if len(code) > LONGEST_CODE:
        raise ReplyError(LIBRARY_TOO_LONG)
    if not code.startswith(b"#!"):
        raise ReplyError(LIBRARY_HEADER_MISSING)
    header, newline, _ = code.partition(b"\n")
    if not newline or b"\0" in header:
        raise ReplyError(LIBRARY_HEADER_INVALID)
    try:
        engine, *words = split_words(header)
    except ValueError:
        raise ReplyError(LIBRARY_HEADER_INVALID) from None
    name = None
    for word in words:
        if word[:5].lower() != b"name=":
            raise ReplyError(library_metadata(word))
        if name is not None:
            raise ReplyError(LIBRARY_NAMED_TWICE)
        name = word[5:]
    if name is None:
        raise ReplyError(LIBRARY_WITHOUT_NAME)
    check_name(name)
    if engine[2:].lower() != b"lua":
        raise ReplyError(unknown_engine(engine[2:]))
    return name
