"""Scripts: those that EVALSHA finds, and those that run. Knows no Lua and no command.

What EVAL brings is kept for a while only, as in Redis: of more than EVALS of them the one goes that
was not used for longest. What SCRIPT LOAD brings stays.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha1
from time import perf_counter_ns

from tendis_py.config.syntax import split_words
from tendis_py.errors import (
    NOT_BUSY,
    SHEBANG_ENGINE,
    SHEBANG_INVALID,
    UNKILLABLE,
    ReplyError,
    script_flag,
    shebang_engine,
    shebang_option,
)

EVALS = 500
_MOST_UNDECLARING = 10_000
FLAGS = frozenset(
    (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")
)

_SCRIPT_BYTES = 200
"""About what one takes besides its text."""


@dataclass(eq=False, slots=True)
class Script:
    """``code`` is what is run: ``body`` less its shebang. ``flags`` is None without one: then
    nothing is said of what it does."""

    sha: bytes
    body: bytes
    code: bytes
    flags: frozenset[bytes] | None
    stays: bool = False
    only_reads: bool = field(init=False)

    def __post_init__(self) -> None:
        self.only_reads = self.flags is not None and b"no-writes" in self.flags


class Running:
    """A script or a function that runs, and may take long. ``name``: the script's SHA1, or the
    function's; ``request``: what has called it."""

    __slots__ = (
        "abandoned",
        "has_written",
        "is_function",
        "killed",
        "name",
        "request",
        "started",
    )

    def __init__(self, name: bytes, request: list[bytes], *, is_function: bool) -> None:
        self.name = name
        self.request = request
        self.is_function = is_function
        self.started = perf_counter_ns()
        self.has_written = False
        self.killed = False
        self.abandoned = False
        """Whether it has to end though it may have written, which is then taken back."""


class Scripts:
    """Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_sha: dict[bytes, Script] = {}
        self._by_body: dict[bytes, Script] = {}
        self._used: OrderedDict[bytes, None] = OrderedDict()
        """Those that may go, the one that was used last at the end."""
        self._running: list[Running] = []
        self._is_ending = False
        self.runtimes: list[tuple[bool, Callable[[], int]]] = []
        """Of each Lua runtime whether it is for functions, and how many bytes it has."""
        self.evicted = 0
        self.undeclaring: OrderedDict[bytes, None] = OrderedDict()
        """Those that are known to use keys which they do not name; they run with all keys held."""
        self.undeclared_runs = 0
        """How many have ended that did."""
        self.bytes = 0
        """About what all of them take."""
        self.generation = 0
        """Grows when they are dropped: what was made of them is of no use any more."""
        self.library_settings: dict[bytes, int] = {}
        """What scripts have set of cjson. Never changed, only replaced."""

    def __len__(self) -> int:
        return len(self._by_sha)

    def __contains__(self, sha: bytes) -> bool:
        """Whether the script of that SHA1, in lower case, is kept."""
        return sha in self._by_sha

    def set_library(self, name: bytes, value: int) -> None:
        """What a script sets of cjson stays set for all, until they are dropped."""
        with self._lock:
            self.library_settings = {**self.library_settings, name: value}

    def find(self, sha: bytes) -> Script | None:
        """The script of that SHA1, in whatever case; it is used."""
        script = self._by_sha.get(sha) or self._by_sha.get(sha.lower())
        if script is not None and not script.stays:
            self._use(script)
        return script

    def all(self) -> list[Script]:
        """All that are kept."""
        with self._lock:
            return list(self._by_sha.values())

    def of(self, body: bytes) -> Script:
        """The script of that text, which need not be kept. ReplyError as of ``parse``."""
        script = self._by_body.get(body)
        if script is None:
            return parse(body)
        if not script.stays:
            self._use(script)
        return script

    def _use(self, script: Script) -> None:
        with self._lock:
            if script.sha in self._used:
                self._used.move_to_end(script.sha)

    def keep(self, script: Script, *, stays: bool) -> None:
        """Have it found from now on; ``stays``: until all are dropped."""
        with self._lock:
            known = self._by_sha.get(script.sha)
            if known is None:
                self._by_sha[script.sha] = self._by_body[script.body] = known = script
                self.bytes += len(script.body) + _SCRIPT_BYTES
                self._used[script.sha] = None
            if stays and not known.stays:
                known.stays = True
                self._used.pop(script.sha, None)
            if len(self._used) > EVALS:
                sha, _ = self._used.popitem(last=False)
                gone = self._by_sha.pop(sha)
                del self._by_body[gone.body]
                self.bytes -= len(gone.body) + _SCRIPT_BYTES
                self.evicted += 1

    def flush(self) -> None:
        with self._lock:
            self._by_sha, self._by_body, self._used = {}, {}, OrderedDict()
            self.bytes = 0
            self.generation += 1
            self.library_settings = {}

    def memory(self, *, functions: bool) -> int:
        """Bytes that Lua has for scripts, or for functions."""
        return sum(size() for for_functions, size in self.runtimes if for_functions is functions)

    def note_undeclared(self, name: bytes, uses_others: bool, *, has_ended: bool) -> None:
        """Whether a script has used keys which it did not name, as far as it has run."""
        with self._lock:
            if uses_others:
                self.undeclared_runs += has_ended
                self.undeclaring[name] = None
                if len(self.undeclaring) > _MOST_UNDECLARING:
                    self.undeclaring.popitem(last=False)
            elif has_ended:
                self.undeclaring.pop(name, None)

    # Those that run

    def begin(self, running: Running) -> None:
        with self._lock:
            running.abandoned = self._is_ending
            self._running.append(running)

    def end(self, running: Running) -> None:
        with self._lock:
            self._running.remove(running)

    def note_write(self, running: Running) -> None:
        """It is about to write, unless it is ``killed`` already."""
        with self._lock:
            running.has_written = not running.killed

    @property
    def running(self) -> list[Running]:
        with self._lock:
            return self._running.copy()

    def abandon_all(self) -> None:
        """Have all end, those to come too, for the server does."""
        with self._lock:
            self._is_ending = True
            for one in self._running:
                one.abandoned = True

    def kill(self, *, functions: bool) -> None:
        """Have those end that have not written. ReplyError if there are none."""
        with self._lock:
            these = [one for one in self._running if one.is_function is functions]
            harmless = [one for one in these if not one.has_written]
            for one in harmless:
                one.killed = True
        if not these:
            raise ReplyError(NOT_BUSY)
        if not harmless:
            raise ReplyError(UNKILLABLE)


def parse(body: bytes) -> Script:
    """ReplyError if the first line says what there is not."""
    code, flags = body, None
    if body.startswith(b"#!"):
        line, newline, _ = body.partition(b"\n")
        if not newline:
            raise ReplyError(SHEBANG_INVALID)
        flags = _flags_of(line)
        code = body[len(line) :]
    return Script(sha1(body, usedforsecurity=False).hexdigest().encode(), body, code, flags)


def _flags_of(shebang: bytes) -> frozenset[bytes]:
    try:
        words = split_words(shebang)
    except ValueError:
        raise ReplyError(SHEBANG_ENGINE) from None
    engine, *options = words
    if engine != b"#!lua":
        raise shebang_engine(engine)
    flags: set[bytes] = set()
    for option in options:
        if not option.startswith(b"flags="):
            raise shebang_option(option)
        given = option.removeprefix(b"flags=")
        for flag in given.split(b",") if given else ():
            if flag not in FLAGS:
                raise script_flag(flag)
            flags.add(flag)
    return frozenset(flags)
