"""A Lua runtime for functions: it loads a library when one of its functions is first called.

What a library keeps between calls is its own, in each runtime. Runtimes for functions are not those
for scripts, so that a script that takes all the memory takes no library's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from tendis_py.errors import FUNCTION_NOT_FOUND, LIBRARY_EMPTY, ReplyError, printable
from tendis_py.scripting.runtime import OUT_OF_MEMORY, EndedError, LuaFunction, Runtime
from tendis_py.storage.libraries import FLAGS, Function, Library


class FunctionRuntime(Runtime):
    """As ``Runtime``, whose ``run`` calls a function of a library here."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        exported = self.lua.execute(_source(), self.exported[b"inside"], name="=prelude")
        self._load: LuaFunction = exported[b"load"]
        self._run = exported[b"call"]
        self._run_with = exported[b"call_with"]
        self._forget = exported[b"forget"]
        self.callbacks: dict[Function, LuaFunction] = {}
        """What ``run`` is to call for each function that is loaded."""
        self._loaded: dict[bytes, Library] = {}

    def read(self, name: bytes, code: bytes) -> Library:
        """The library that is made by ``code``. ReplyError: it is none; EndedError: it had to end
        before it was."""
        functions = tuple(
            Function(entry[b"name"], entry[b"description"], _flags(entry[b"flags"]))
            for entry in self._entries(code)
        )
        if not functions:
            raise ReplyError(LIBRARY_EMPTY)
        return Library(name, code, functions)

    def callback(
        self, library: Library, function: Function, libraries: Mapping[bytes, Library]
    ) -> LuaFunction:
        """As ``callbacks`` has it, of a library that is loaded for that; raises as ``read``.
        ``libraries`` are all there are: others need not be kept."""
        self._forget_but(libraries)
        made = {entry[b"name"]: entry[b"callback"] for entry in self._entries(library.code)}
        self._loaded[library.name] = library
        for one in library.functions:
            if one.name in made:
                self.callbacks[one] = made[one.name]
        found = self.callbacks.get(function)
        if found is None:  # it registers others this time
            raise ReplyError(FUNCTION_NOT_FOUND)
        return found

    def _forget_but(self, libraries: Mapping[bytes, Library]) -> None:
        for name, library in list(self._loaded.items()):
            if libraries.get(name) is not library:
                del self._loaded[name]
                for function in library.functions:
                    self.callbacks.pop(function, None)

    def _entries(self, code: bytes) -> list[Any]:
        """What ``code`` registers, by running it."""
        body = code[code.index(b"\n") :]  # so that lines are counted from the header on
        self._make_room(2 * len(body))
        found = self._load(body)
        if not isinstance(found, tuple):
            return list(found.values())
        _, text, kind = found
        if kind == b"ended":
            self.is_spent = text == OUT_OF_MEMORY
            raise EndedError(text)
        doing = "compiling function" if kind == b"syntax" else "registering functions"
        raise ReplyError(f"ERR Error {doing}: {printable(text)}")


def _flags(given: Any) -> tuple[str, ...]:
    return tuple(flag for flag in FLAGS if given[flag.encode()])


@cache
def _source() -> bytes:
    return resources.files(__package__).joinpath("functions.lua").read_bytes()
