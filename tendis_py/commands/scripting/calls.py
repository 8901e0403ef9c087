"""What a script may ask of the server, and how one is run: a thread's runtime and its session.

A script speaks by a session of its own, whose encoders make Lua's values (conversions.py): it
stands for the caller where a command asks who that is, and has its own protocol and database. What
a command raises is kept here until Lua has ended, for nothing of ours may pass through it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from time import perf_counter_ns
from typing import Any

from tendis_py import REDIS_VERSION
from tendis_py.commands.context import Context, Outcome, Rejections
from tendis_py.commands.permission import IN_SCRIPT, check, denied
from tendis_py.commands.registry import REGISTRY, Command, Lane
from tendis_py.errors import (
    BUSY_SCRIPT,
    INTERNAL,
    READ_ONLY_SCRIPT,
    SCRIPT_ARGUMENTS,
    SCRIPT_ARITY,
    SCRIPT_KILLED,
    SCRIPT_NO_ARGUMENTS,
    SCRIPT_NOT_ALLOWED,
    SCRIPT_UNKNOWN_CHECKED,
    SCRIPT_UNKNOWN_COMMAND,
    SHUTTING_DOWN,
    ReplyError,
    TooLargeError,
)
from tendis_py.log import NOTICE, VERBOSE
from tendis_py.numbers import format_double
from tendis_py.resp.replies import Reply
from tendis_py.resp.requests import Request
from tendis_py.scripting.conversions import ENDING, ERROR, converters
from tendis_py.scripting.libraries import Libraries
from tendis_py.scripting.runtime import (
    OUT_OF_MEMORY,
    EndedError,
    FailedError,
    LuaFunction,
    Numbers,
    Runtime,
    ScriptError,
)
from tendis_py.services.scripts import Running
from tendis_py.session import Session

log = logging.getLogger(__name__)

FAST_NS = 3_000_000
"""What a script may take where others wait for it; then it begins again in a thread of its own."""

_LEVELS = (logging.DEBUG, VERBOSE, NOTICE, logging.WARNING)
_LARGE = 1 << 62
_NONE: frozenset[bytes] = frozenset()
_VERSION = Numbers(
    REDIS_VERSION,
    int.from_bytes(bytes(map(int, REDIS_VERSION.split("."))), "big"),
)
_table = REGISTRY.table


def caller_of(ctx: Context) -> Caller:
    """The one of ``ctx``, made when it is first needed."""
    caller: Caller | None = ctx.caller
    if caller is None:
        caller = ctx.caller = Caller(ctx)
    return caller


def show(ctx: Context, request: Request) -> None:
    """Show a request for a script to who monitors, ahead of what the script calls."""
    monitors = ctx.services.monitors
    if monitors.is_any:
        ctx.need_slow_lane()  # what they have seen is not taken back
        ctx.require_all()
        monitors.show(ctx.session, request)


class Caller:
    """One context's. Not thread-safe; nothing of it runs but for the script that runs now."""

    makes: type[Runtime] = Runtime

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._scripts = ctx.services.scripts
        self.session = Session(ctx.session.peer)
        self.session.name = b""
        self._generation = self._scripts.generation
        self._running: Running | None = None
        self._ending: BaseException | None = None
        """What a script that had to end is to raise, what it has written being taken back."""
        self._given_up: ReplyError | None = None
        """The reply to a script that had to end, what it has written being kept."""
        self._only_reads = self._has_written = False
        self._started = self._read = 0
        self.calls = 0
        self._function: LuaFunction = _nothing
        self._request: Request = []
        self._keys = 0
        self._name = b""
        self._is_function = False
        self._rejected: Rejections = {}
        self._held: AbstractSet[bytes] | None = None
        """The keys that are held, None if all are."""
        self._plain: dict[bytes, tuple[Command, int, bool, int, int]] = {}
        """Commands by the names that scripts have for them: where their only key stands, or 0,
        whether they write, and of how many arguments they are."""
        self._quick = self._plain
        """That, unless the caller's user may not do all: each command is looked at then."""
        self._renew()
        self._scripts.runtimes.append((self.makes is not Runtime, lambda: self.runtime.memory))

    def _renew(self) -> None:
        limit = self._ctx.services.config.lua_memory_limit
        self.runtime = self.makes(self, limit=limit, version=_VERSION, install=self._install)
        self._converters = converters(self.runtime.lua.table_from, self._claim_room)

    def _install(self, lua: Any) -> dict[str, Any]:
        self._libraries = Libraries(lua, self._scripts.set_library)
        self._library_settings: dict[bytes, int] | None = None
        return self._libraries.tables

    def ready(self) -> Runtime:
        """The runtime, fit for another script."""
        self._started = 0
        if self.runtime.is_spent:
            self._renew()
        if self._library_settings is not self._scripts.library_settings:
            self._library_settings = self._scripts.library_settings
            self._libraries.adopt(self._library_settings)
        if self._generation != self._scripts.generation:
            self._generation = self._scripts.generation
            self.runtime.forget_compiled()
        return self.runtime

    # Running

    def run(
        self,
        function: LuaFunction,
        request: Request,
        keys: int,
        *,
        name: bytes,
        only_reads: bool,
        is_function: bool = False,
    ) -> Reply:
        """What ``function`` answers to ``request``, of whose arguments from the fourth on so many
        are ``keys``. ``name`` is what it is called where it fails, and by who looks at what runs.
        """
        self._function, self._request, self._keys = function, request, keys
        self._name, self._only_reads, self._is_function = name, only_reads, is_function
        return self._ctx.run_script(request, self._work)

    def _work(self, is_fast: bool) -> Outcome:
        self._running = None
        if is_fast:
            return self._run()
        running = Running(self._name, self._request, is_function=self._is_function)
        self._running = running
        self._scripts.begin(running)
        try:
            return self._run()
        finally:
            self._scripts.end(running)

    def _run(self) -> Outcome:
        ctx, name = self._ctx, self._name
        caller, own = ctx.session, self.session
        own.id, own.database = caller.id, caller.database
        own.user = caller.user.as_it_is()  # so that a change does not stop a script half way
        self._quick = self._plain if own.user.permits is None else {}
        own.tracking, own.mailbox, own.no_touch = caller.tracking, caller.mailbox, caller.no_touch
        own.received = self._read = caller.received
        own.protocol, own.encoders = 2, self._converters[2]
        self._has_written = False
        self._ending = self._given_up = None
        self._rejected = {}
        self._held = None if ctx.holds(None) else _NONE if ctx.claim is None else ctx.claim.keys
        self.calls = 0
        self._started = perf_counter_ns()
        ctx.session = own
        try:
            reply = self.runtime.run(self._function, caller.protocol, self._request[3:], self._keys)
            return reply, False, self.calls, self._rejected
        except EndedError as ended:
            if self._given_up is not None:
                return self._given_up, False, self.calls, self._rejected
            if self._ending is not None:
                raise self._ending from None
            return _failure(f"ERR {ended.text}", ended, name), False, self.calls, self._rejected
        except FailedError as failed:
            return _failure(failed.text, failed, name), failed.is_told, self.calls, self._rejected
        except ScriptError as error:
            return ReplyError(error.message), error.is_told, self.calls, self._rejected
        finally:
            self._ending = self._given_up = None  # they hold on to all that was under way
            self.runtime.tidy()
            ctx.session = caller
            if own.database != caller.database:
                ctx.db = ctx.tx.database(caller.database)

    # What scripts ask for

    def call(self, *arguments: Any) -> Any:
        """The hot path of scripts. What is not quite ordinary goes through ``_call``, which does
        the same for all."""
        try:
            plain = self._quick.get(arguments[0]) if arguments else None
            if plain is None or self._running is not None:
                return self._call(list(arguments))
            command, key_at, writes, low, high = plain
            if not low <= len(arguments) <= high:
                return self._call(list(arguments))
            for argument in arguments:
                if type(argument) is not bytes:
                    return self._call(list(arguments))
            if writes:
                if self._only_reads or self._ctx.services.disk.failure:
                    return self._call(list(arguments))
                self._has_written = True
            held = self._held
            if held is not None and not (key_at and arguments[key_at] in held):
                return self._call(list(arguments))
            self.calls += 1
            value = self._ctx.call(command, list(arguments), self._read)
            return value if self._given_up is None else (b"", ENDING)
        except BaseException as error:
            return self._end(error)

    def call_with(self, arguments: Any) -> Any:
        try:
            return self._call(_listed(arguments))
        except BaseException as error:
            return self._end(error)

    def _end(self, error: BaseException) -> Any:
        if not isinstance(error, TooLargeError):
            log.error("internal error in a script", exc_info=error)
            error = ReplyError(INTERNAL)
        self._ending = error
        return b"", ENDING

    def _call(self, request: list[Any]) -> Any:
        for argument in request:
            if type(argument) is not bytes:
                if not all(type(one) in _TEXTS for one in request):
                    return self._reject(None, SCRIPT_ARGUMENTS)
                request = [_TEXTS[type(one)](one) for one in request]
                break
        if not request:
            return self._reject(None, SCRIPT_NO_ARGUMENTS)
        command = _table.get(request[0]) or REGISTRY.lookup(request[0])
        if command is not None and command.subcommands and len(request) > 1:
            command = command.subcommands.get(request[1].lower())
        if command is None:
            return self._reject(None, SCRIPT_UNKNOWN_COMMAND)
        size = len(request)
        if not command.low <= size <= command.high and size not in command.fits:
            return self._reject(command, SCRIPT_ARITY)
        ctx = self._ctx
        if "noscript" in command.flags:
            return self._reject(command, SCRIPT_NOT_ALLOWED)
        if ctx.session.user.permits is not None:
            asked = self._request[0].decode("utf-8", "surrogateescape").lower()
            error = check(ctx, command, request, IN_SCRIPT, asked)
            if error is not None:
                return self._reject(command, str(error))
        if command.may_write:
            if self._only_reads:
                return self._reject(command, READ_ONLY_SCRIPT)
            if command.writes:
                failure = ctx.services.disk.failure
                if failure and not self._has_written:
                    return self._reject(command, failure)
                self._has_written = True
        running = self._running
        if running is None:
            if command.runs_once:
                ctx.need_slow_lane()
        else:
            if self._has_written and not running.has_written:
                self._scripts.note_write(running)
            if running.killed:
                return SCRIPT_KILLED.encode(), ENDING
        if self._held is not None:
            ctx.require(command, request)
        name = request[0]
        if _table.get(name) is command and name not in self._plain and _is_plain(command):
            self._plain[name] = (
                command,
                command.single_key,
                command.may_write,
                command.low,
                command.high,
            )
        self.calls += 1
        value = ctx.call(command, request, self._read)
        return value if self._given_up is None else (b"", ENDING)

    def _reject(self, command: Command | None, message: str) -> Any:
        rejection = command, ReplyError(message).code
        self._rejected[rejection] = self._rejected.get(rejection, 0) + 1
        return message.encode("utf-8", "surrogateescape"), ERROR

    def check(self) -> bytes | None:
        if not self._started:  # a script is compiled, after which the time of the last one is over
            return None
        running = self._running
        elapsed = perf_counter_ns() - self._started
        if running is None:
            if elapsed > FAST_NS:
                try:
                    self._ctx.need_slow_lane()
                except TooLargeError as error:
                    self._ending = error
                    return b"not for the fast lane"
        elif running.abandoned:
            self._ending = ReplyError(SHUTTING_DOWN)
            return SHUTTING_DOWN.encode()
        elif running.killed:
            return SCRIPT_KILLED.encode()
        elif elapsed > self._ctx.services.config.busy_reply_threshold * 1_000_000:
            self._ctx.be_busy(BUSY_SCRIPT)
        return None

    def log(self, level: int, text: bytes) -> None:
        log.log(_LEVELS[level], "%s", text.decode("utf-8", "backslashreplace"))

    def set_protocol(self, protocol: int) -> None:
        self.session.protocol = protocol
        self.session.encoders = self._converters[protocol]

    def allows(self, arguments: Any) -> Any:
        request = _listed(arguments)
        if not request:
            return SCRIPT_NO_ARGUMENTS.encode(), ERROR
        if not all(type(one) in _TEXTS for one in request):
            return SCRIPT_ARGUMENTS.encode(), ERROR
        request = [_TEXTS[type(one)](one) for one in request]
        command = REGISTRY.find(request)
        if command is None:
            return SCRIPT_UNKNOWN_CHECKED.encode(), ERROR
        return denied(self._ctx, command, request) is None

    def _claim_room(self, size: int) -> None:
        if not self.runtime.has_room(size):
            self._given_up = ReplyError(f"ERR {OUT_OF_MEMORY.decode()}")
            raise self._given_up


def _is_plain(command: Command) -> bool:
    """Whether scripts may run it without anything being looked at but its arguments and keys."""
    return (
        command.lane is Lane.FAST
        and command.low <= command.high
        and (command.writes or not command.may_write)
        and not command.runs_once
    )


def _nothing() -> None:
    raise AssertionError("no script runs yet")


def _failure(text: str, error: FailedError, name: bytes) -> ReplyError:
    place = error.place
    return ReplyError(f"{text} script: {name.decode()}, on {place}." if place else text)


def _listed(arguments: Any) -> list[Any]:
    """The arguments of a call that come as a table, with their number."""
    found = list(arguments.values())
    count = found.pop()
    return found if len(found) == count else [None]  # one of them is nil


def _digits(number: float) -> bytes:
    """A number as Redis hands it to a command."""
    if number != number:
        return b"-nan"
    return format_double(number)


def _integer(number: int) -> bytes:
    return b"%d" % number if -_LARGE < number < _LARGE else format_double(float(number))


_TEXTS: dict[type, Callable[[Any], bytes]] = {bytes: bytes, int: _integer, float: _digits}
