"""FCALL: a function of a library runs as EVAL's scripts do (evaluate.py). A library is loaded by
each thread that calls one of its functions, at the first time."""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns, thread_time_ns

from tendis_py.commands.context import Context
from tendis_py.commands.events import told_already
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.scripting.calls import FAST_NS, Caller, show
from tendis_py.errors import (
    FCALL_BAD_NUMKEYS,
    FUNCTION_NOT_FOUND,
    KEYS_NEGATIVE,
    LIBRARIES_KILLED,
    LIBRARY_TIMEOUT,
    NUMKEYS_TOO_MANY,
    SCRIPT_MAY_WRITE,
    SHUTTING_DOWN,
    ReplyError,
    TooLargeError,
)
from tendis_py.numbers import strict_integer
from tendis_py.resp.replies import Reply
from tendis_py.resp.requests import Request
from tendis_py.scripting.functions import FunctionRuntime
from tendis_py.scripting.runtime import EndedError, LuaFunction
from tendis_py.services.functions import STATE, Catalogue
from tendis_py.services.scripts import Running
from tendis_py.storage.libraries import Function, Library

LOAD_NS = 500_000_000
"""What the code of a library may take to register its functions: CPU time, for it shall not depend
on what else the machine does."""

LOAD_AGAIN_NS = 10 * LOAD_NS
"""Likewise, when it has done so before."""

_FLAGS = "noscript stale skip_monitor no_mandatory_keys"
_WORST = "We cannot tell how the keys will be used so we assume the worst, {}"

_command = partial(
    command,
    group="scripting",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    syntax="function numkeys [key [key ...]] [arg [arg ...]]",
    apart=True,
    events=told_already,
)


def catalogue_of(ctx: Context) -> Catalogue:
    """The libraries there are, as the batch has it."""
    found: Catalogue = ctx.tx.state(STATE)
    return found


def _run_same(ctx: Context, requests: list[Request]) -> list[Reply] | None:
    """FCALL of one function, several times."""
    name = requests[0][1]
    catalogue = catalogue_of(ctx)
    found = catalogue.find(name)
    if found is None or not all(request[1] == name for request in requests):
        return None
    keys = list(map(_number_of_keys, requests))
    library, function = found
    caller = functions_of(ctx)
    callback = caller.callback(library, function, catalogue)
    return caller.run_each(callback, requests, keys, function.name, function.only_reads)


@_command(
    "fcall",
    -3,
    flags=f"{_FLAGS} may_replicate",
    keys=Keys("RW access update", first=3, count=2, notes=_WORST.format("RW and UPDATE")),
    run=_run_same,
)
def fcall(ctx: Context, args: list[bytes]) -> Reply:
    """Invokes a function."""
    return _call(ctx, args, only_reads=False)


@_command(
    "fcall_ro",
    -3,
    flags=f"readonly {_FLAGS}",
    keys=Keys("RO access", first=3, count=2, notes=_WORST.format("RO and ACCESS")),
)
def fcall_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Invokes a read-only function."""
    return _call(ctx, args, only_reads=True)


def _call(ctx: Context, args: list[bytes], *, only_reads: bool) -> Reply:
    show(ctx, args)
    catalogue = catalogue_of(ctx)
    found = catalogue.find(args[1])
    if found is None:
        raise ReplyError(FUNCTION_NOT_FOUND)
    keys = _number_of_keys(args)
    library, function = found
    if only_reads and not function.only_reads:
        raise ReplyError(SCRIPT_MAY_WRITE)
    caller = functions_of(ctx)
    callback = caller.callback(library, function, catalogue)
    return caller.run(callback, args, keys, function.name, function.only_reads)


def _number_of_keys(args: list[bytes]) -> int:
    keys = strict_integer(args[2])
    if keys is None:
        raise ReplyError(FCALL_BAD_NUMKEYS)
    if keys > len(args) - 3:
        raise ReplyError(NUMKEYS_TOO_MANY)
    if keys < 0:
        raise ReplyError(KEYS_NEGATIVE)
    return keys


def functions_of(ctx: Context) -> FunctionCaller:
    """What calls functions in ``ctx``, made when it is first needed."""
    caller: FunctionCaller | None = ctx.function_caller
    if caller is None:
        caller = ctx.function_caller = FunctionCaller(ctx)
    return caller


class FunctionCaller(Caller):
    """A context's caller of functions, and reader of libraries."""

    makes = FunctionRuntime
    is_for_functions = True
    runtime: FunctionRuntime

    def __init__(self, ctx: Context) -> None:
        self._loading = False
        self._most_ns = self._load_began = 0
        super().__init__(ctx)

    def callback(self, library: Library, function: Function, catalogue: Catalogue) -> LuaFunction:
        """What ``run`` is to call. TooLargeError: to load the library takes too long here."""
        found = self.runtime.callbacks.get(function)
        if found is None or self.runtime.is_spent:
            self._begin_to_load(LOAD_AGAIN_NS)
            try:
                found = self.runtime.callback(library, function, catalogue.libraries)
            except EndedError as ended:
                raise self._not_loaded(ended) from None
            finally:
                self._end_loading()
        return found

    def read(self, name: bytes, code: bytes, running: Running | None = None) -> Library:
        """The library that ``code`` is. ReplyError: it is none, takes too long to say so, or
        ``running`` is to end, of which it is a part."""
        self._begin_to_load(LOAD_NS, running)
        try:
            if self.check() is not None and self._ending is not None:
                raise self._ending
            return self.runtime.read(name, code)
        except EndedError as ended:
            raise self._not_loaded(ended) from None
        finally:
            self._end_loading()
            self.runtime.tidy()

    def _begin_to_load(self, most_ns: int, running: Running | None = None) -> None:
        self.ready()
        self._loading, self._most_ns, self._ending = True, most_ns, None
        self._running, self._started = running, perf_counter_ns()
        self._load_began = thread_time_ns()

    def _end_loading(self) -> None:
        self._loading, self._ending, self._started = False, None, 0

    def _not_loaded(self, ended: EndedError) -> BaseException:
        if self._ending is not None:
            return self._ending
        return ReplyError(f"ERR Error registering functions: {ended.text}")

    def check(self) -> bytes | None:
        if not self._loading:
            return super().check()
        running = self._running
        if running is not None and (running.abandoned or running.killed):
            self._ending = ReplyError(SHUTTING_DOWN if running.abandoned else LIBRARIES_KILLED)
            return b"not to go on"
        if thread_time_ns() - self._load_began > self._most_ns:
            return LIBRARY_TIMEOUT.encode()
        if perf_counter_ns() - self._started > FAST_NS:
            try:
                self._ctx.need_slow_lane()
            except TooLargeError as error:
                self._ending = error
                return b"not for the fast lane"
        return None
