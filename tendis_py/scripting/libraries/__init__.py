"""The libraries that Redis gives to scripts: cjson, cmsgpack, struct and bit, written in Lua.

They are Lua and not Python, because Lua runs without the GIL, is ended by the hook in the middle of
a large value as anywhere else, and takes its memory from what the script may have. Nothing of
Python's can be seen through them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from lupa.lua51 import LuaRuntime

LIBRARIES = {
    "cjson": ("arguments",),
    "cmsgpack": ("arguments", "floats"),
    "struct": ("arguments", "floats"),
    "bit": ("arguments",),
}
"""Library → the modules that it is handed."""


@cache
def _source(name: str) -> bytes:
    return files(__name__).joinpath(f"{name}.lua").read_bytes()


def install(lua: LuaRuntime) -> dict[str, Any]:
    """Library → its table, made in ``lua``, which takes bytes (``encoding=None``) and still has all
    of its standard library, ``debug`` and ``newproxy`` included."""
    helpers = {name: lua.execute(_source(name)) for name in ("arguments", "floats")}
    return {
        library: lua.execute(_source(library), *(helpers[name] for name in needs))
        for library, needs in LIBRARIES.items()
    }
