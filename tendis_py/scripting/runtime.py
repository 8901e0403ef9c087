"""A Lua runtime for scripts: one per executing thread, thrown away once it has run out of memory.

Lua takes memory by an allocator with a limit. What Lua itself can't get, it reports as an error;
where lupa takes it for what Python hands over, there is nobody to report to, and the process would
end. So nothing is handed over without room for it: a script ends that comes near the limit before
it calls (``set_danger`` in prelude.lua), its arguments and replies are measured, and where the
limit lies exactly is not to be known.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib import resources
from time import thread_time_ns
from typing import Any, Protocol

from lupa.lua51 import LuaError, LuaMemoryError, LuaRuntime

from tendis_py.errors import ReplyError, printable
from tendis_py.numbers import format_double
from tendis_py.resp.replies import Encoded
from tendis_py.scripting.conversions import AT_ONCE
from tendis_py.scripting.tail_calls import without_tail_calls

INSTRUCTIONS = 100_000
"""After so many a script is asked whether it may go on: half a millisecond to one."""

HEADROOM = 2 * 1024 * 1024
"""Memory that is kept free for what is handed over in passing."""

_LONG = 256 * 1024
"""Bytes that are not handed over without a look at what room there is."""
_ELEMENT = 64
"""What one takes in a table, besides its text."""
_MANY = 200
"""Keys and arguments, from which on they are handed over as tables."""
_KEPT = 1000
"""Compiled scripts."""

OUT_OF_MEMORY = b"not enough memory"

LuaFunction = Callable[..., Any]


class Host(Protocol):
    """What a script may ask of the server. Nothing of it may raise."""

    def call(self, *arguments: Any) -> Any:
        """``redis.call`` and ``pcall``: what to answer (conversions.py)."""

    def call_with(self, arguments: Any) -> Any:
        """As ``call``, with a table of very many arguments and their number, ``n``."""

    def check(self) -> bytes | None:
        """Asked now and then: why the script has to end; None: it may go on."""

    def log(self, level: int, text: bytes) -> None: ...

    def set_protocol(self, protocol: int) -> None:
        """``redis.setresp``."""

    def allows(self, arguments: Any) -> Any:
        """``redis.acl_check_cmd``."""


class ScriptError(ReplyError):
    """A script has failed. ``is_told``: the command that failed has counted the error."""

    __slots__ = ("is_told",)

    def __init__(self, message: str, *, is_told: bool = False) -> None:
        super().__init__(message)
        self.is_told = is_told


class FailedError(Exception):
    """A script has raised an error, and not caught it: ``text``, at ``place``, if that is known.
    ``is_told``: the command that failed has counted it."""

    def __init__(
        self, text: bytes, source: Any = False, line: Any = False, is_told: bool = False
    ) -> None:
        super().__init__(text)
        self.text = printable(text.partition(b"\0")[0])
        self.place = f"{_text(source)}:{line}" if source and line else ""
        self.is_told = is_told


class EndedError(FailedError):
    """A script had to end, for a reason that it could not catch."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What ``redis.REDIS_VERSION`` tells."""

    version: str
    number: int


class Runtime:
    """Not thread-safe. ``limit``: bytes that Lua may take. ``install`` makes the libraries that
    Lua does not have itself: tables, by the names that scripts know them by."""

    def __init__(
        self,
        host: Host,
        *,
        limit: int,
        version: Numbers,
        install: Callable[[LuaRuntime], dict[str, Any]],
    ) -> None:
        self.limit = limit
        self.is_spent = False
        """Whether it has run out of memory, and is not to be used again."""
        self.lua = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_refuse_attribute,
            max_memory=limit + 2 * HEADROOM,
        )
        table = self.lua.table_from
        installed = {name.encode(): library for name, library in install(self.lua).items()}
        provided = {
            b"call": host.call,
            b"call_with": host.call_with,
            b"check": host.check,
            b"clock": thread_time_ns,
            b"log": host.log,
            b"sha1hex": _sha1hex,
            b"setresp": host.set_protocol,
            b"allows": host.allows,
            b"format_double": format_double,
            b"instructions": INSTRUCTIONS,
            b"version": version.version.encode(),
            b"version_number": version.number,
            b"libraries": table(installed),
            b"at_once": AT_ONCE,
            b"without_tail_calls": without_tail_calls,
        }
        exported = self.exported = self.lua.execute(_prelude(), table(provided), name=b"=prelude")
        self._run: LuaFunction = exported[b"run"]
        self._run_with: LuaFunction = exported[b"run_with"]
        self._compile: LuaFunction = exported[b"compile"]
        self._forget: LuaFunction = exported[b"forget"]
        self._collect: LuaFunction = exported[b"collect"]
        self._set_danger: LuaFunction = exported[b"set_danger"]
        self.compiled: dict[Any, LuaFunction] = {}
        self._base = self.lua.get_memory_used()
        self._draw_limit()

    @property
    def memory(self) -> int:
        """Bytes that Lua holds for it."""
        used: int = self.lua.get_memory_used(total=True)
        return used

    def _draw_limit(self) -> None:
        limit = self.limit + random.SystemRandom().randrange(HEADROOM)
        self.lua.set_max_memory(self._base + limit + HEADROOM)
        self._set_danger((self._base + limit) >> 10)
        self._most = self._base + limit
        self._much = self._base + limit // 8

    def has_room(self, size: int) -> bool:
        """Whether ``size`` bytes can be handed over. If not, the script is to end."""
        return bool(self.lua.get_memory_used() + size < self._most)

    def compile(self, script: Any, body: bytes, name: bytes = b"@user_script") -> LuaFunction:
        """The function of a script, made when it is first asked for. ReplyError if ``body`` is not
        Lua."""
        function = self.compiled.get(script)
        if function is None:
            if len(self.compiled) >= _KEPT:
                self.compiled.clear()
            function = self.compiled[script] = self.load(body, name)
        return function

    def load(self, body: bytes, name: bytes) -> LuaFunction:
        self._make_room(2 * len(body))
        made = self._compile(body, name)
        if isinstance(made, tuple):
            raise ReplyError(f"ERR Error compiling script (new function): {_text(made[1])}")
        function: LuaFunction = made
        return function

    def forget_compiled(self) -> None:
        self.compiled.clear()

    def run(
        self, function: LuaFunction, protocol: int, arguments: Sequence[bytes], keys: int
    ) -> Any:
        """Call a script's ``function``, of whose ``arguments`` the first so many are ``keys``: its
        reply, which is encoded for a client that speaks ``protocol`` if it is no string and no
        integer.

        ScriptError: it has failed, or answers an error. EndedError: it had to end.
        """
        size = 0
        for argument in arguments:  # mostly a few, for which this is the fastest way
            size += len(argument)
        many = len(arguments) >= _MANY
        if size > _LONG or many:
            self._make_room(2 * size + _ELEMENT * len(arguments))
        try:
            if not many:
                outcome = self._run(function, protocol, keys, *arguments)
            else:
                table = self.lua.table_from
                given = table(arguments[:keys]), table(arguments[keys:])
                outcome = self._run_with(function, protocol, *given)
        except LuaMemoryError:
            self.is_spent = True
            raise EndedError(OUT_OF_MEMORY) from None
        except LuaError as error:  # while its reply was made
            raise EndedError(str(error).encode()) from None
        if type(outcome) is not tuple:
            return outcome
        return self._explain(*outcome)

    def _explain(self, text: bytes, kind: bytes, *rest: Any) -> Any:
        if kind == b"encoded":
            return Encoded(text)
        if kind == b"error":
            raise ScriptError(_text(text), is_told=rest[0])
        if kind == b"ended":
            if text == OUT_OF_MEMORY:
                self.is_spent = True
            raise EndedError(text, *rest)
        raise FailedError(text, *rest)

    def _make_room(self, size: int) -> None:
        if not self.has_room(size):
            self._collect()
            if not self.has_room(size):
                raise ReplyError(f"ERR {OUT_OF_MEMORY.decode()}")

    def tidy(self) -> None:
        """After a script: let go of what it had, once that is much."""
        if self.lua.get_memory_used() > self._much:
            self._forget()
            self._collect()
            self._draw_limit()
            self._much = max(self._much, 2 * self.lua.get_memory_used())  # libraries may keep a lot


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _refuse_attribute(thing: object, name: object, is_setting: bool) -> str:
    raise AttributeError("not for scripts")


def _sha1hex(text: bytes) -> bytes:
    return sha1(text, usedforsecurity=False).hexdigest().encode()


@cache
def _prelude() -> bytes:
    return resources.files(__package__).joinpath("prelude.lua").read_bytes()
