"""The libraries that Redis gives to scripts: cjson, cmsgpack, struct and bit, written in Lua.

They are Lua and not Python, because Lua runs without the GIL, is ended by the hook in the middle of
a large value as anywhere else, and takes its memory from what the script may have. Nothing of
Python's can be seen through them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from lupa.lua51 import LuaRuntime

_NAME = b"=prelude"
"""What errors know that are not the script's own: its place is looked for further out."""


@cache
def _source(name: str) -> bytes:
    return files(__name__).joinpath(f"{name}.lua").read_bytes()


class Libraries:
    """Those of ``lua``, which takes bytes (``encoding=None``) and still has all of its standard
    library, ``debug`` and ``newproxy`` included. ``tables``: by the names that scripts know.

    What a script sets of cjson stays set, and in Redis for all scripts. ``changed`` is told of it,
    and must not raise; ``adopt`` has this runtime follow.
    """

    def __init__(self, lua: LuaRuntime, changed: Callable[[bytes, int], None]) -> None:
        def run(module: str, *arguments: Any) -> Any:
            # Named as prelude.lua, which looks past chunks of that name for where an error was.
            return lua.execute(_source(module), *arguments, name=_NAME)

        check, floats = run("arguments"), run("floats")
        json = run("cjson", check, changed)
        self._adopt: Callable[..., None] = json[b"adopt"]
        self.tables: dict[str, Any] = {
            "cjson": json[b"cjson"],
            "cmsgpack": run("cmsgpack", check, floats),
            "struct": run("struct", check, floats),
            "bit": run("bit", check),
        }

    def adopt(self, settings: Mapping[bytes, int]) -> None:
        """Have cjson's settings be these, and the others their defaults."""
        self._adopt()
        for name, value in settings.items():
            self._adopt(name, value)
