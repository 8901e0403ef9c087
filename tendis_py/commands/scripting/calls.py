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
from tendis_py.commands.claims import claims_of
from tendis_py.commands.context import Context, Outcome, Rejections
from tendis_py.commands.permission import IN_SCRIPT, check, denied
from tendis_py.commands.registry import REGISTRY, Command, Lane
from tendis_py.errors import (
    BUSY_FUNCTION,
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
from tendis_py.services.scripts import Running, Script
from tendis_py.session import Session

log = logging.getLogger(__name__)

FAST_NS = 3_000_000
"""What a script may take where others wait for it; then it begins again in a thread of its own."""

_LEVELS = (logging.DEBUG, VERBOSE, NOTICE, logging.WARNING)
_LARGE = 1 << 62
_LONG_BODY = 64 * 1024
"""What is longer takes some milliseconds to compile, which are not the fast lane's."""
_VERSION = Numbers(
    REDIS_VERSION,
    int.from_bytes(bytes(map(int, REDIS_VERSION.split("."))), "big"),
)
_table = REGISTRY.table

Plain = tuple[Command, int, bool, int, int]
"""A command, where its only key stands, or 0, whether it writes, and of how many arguments it is,
at least and at the most."""


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
        ctx.require(None)
        monitors.show(ctx.session, request)


class Caller:
    """One context's. Not thread-safe; nothing of it runs but for the script that runs now."""

    makes: type[Runtime] = Runtime
    is_for_functions = False

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._dispatch = ctx.call
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
        """When the script began that runs, 0 while there is none; and when its request was read."""
        self.calls = 0
        self._function: LuaFunction = _nothing
        self._request: Request = []
        self._keys = 0
        self._name = b""
        self._rejected: Rejections = {}
        self._declared: AbstractSet[bytes] = frozenset()
        """The keys that the script has named, which are held."""
        self._uses_others = False
        self._reading: dict[bytes, Plain] = {}
        self._plain: dict[bytes, Plain] = {}
        """Commands by the names that scripts have for them; those that only ``_reading`` are also
        there."""
        self._quick = self._plain
        """Those of them that the running script may use without a closer look."""
        self._renew()
        self._scripts.runtimes.append((self.is_for_functions, lambda: self.runtime.memory))

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

    def compile(self, script: Script) -> LuaFunction:
        """The function of a script, as ``Runtime.compile``; of a long one not on the fast lane."""
        runtime = self.ready()
        if len(script.code) > _LONG_BODY and script not in runtime.compiled:
            self._ctx.need_slow_lane()
        return runtime.compile(script, script.code)

    # Running

    def run(
        self,
        function: LuaFunction,
        request: Request,
        keys: int,
        name: bytes,
        only_reads: bool,
    ) -> Reply:
        """What ``function`` answers to ``request``, of whose arguments from the fourth on so many
        are ``keys``. ``name`` is what it is called where it fails, and by who looks at what runs.
        """
        self._function, self._request, self._keys = function, request, keys
        self._name, self._only_reads = name, only_reads
        return self._ctx.run_script(request, self._work)

    def run_each(
        self,
        function: LuaFunction,
        requests: list[Request],
        keys: list[int],
        name: bytes,
        only_reads: bool,
    ) -> list[Reply] | None:
        """As ``run`` for each of ``requests``, so many of whose arguments are ``keys``, as one
        unit. None, or TooLargeError, if they are to be run one by one."""
        if name in self._scripts.undeclaring:
            return None
        self._function, self._name, self._only_reads = function, name, only_reads
        self._running = None
        self._uses_others = False
        return self._ctx.run_scripts(requests, lambda longest: self._all(requests, keys, longest))

    def _all(self, requests: list[Request], keys: list[int], longest: int) -> list[Outcome]:
        """TooLargeError: a reply is longer than ``longest``, a script is to be in the slowlog, has
        used other keys than it has named, or taken all memory, and with it the function."""
        slow_ns = self._ctx.services.slowlog.threshold_ns
        outcomes = []
        caller = self._enter()
        ended = perf_counter_ns()
        try:
            for self._request, self._keys in zip(requests, keys, strict=True):
                outcome = self._run(caller)
                reply = outcome[0]
                began, ended = ended, perf_counter_ns()
                if (
                    (isinstance(reply, bytes) and len(reply) > longest)
                    or ended - began > slow_ns
                    or self._uses_others
                    or self.runtime.is_spent
                ):
                    raise TooLargeError
                outcomes.append(outcome)
        finally:
            self._ctx.session = caller
        return outcomes

    def _work(self, is_fast: bool) -> Outcome:
        self._uses_others = False
        scripts, name = self._scripts, self._name
        if name in scripts.undeclaring:
            self._ctx.require(None)
        has_ended = True
        try:
            return self._run_known(is_fast)
        except TooLargeError:
            has_ended = False
            raise
        finally:
            if self._uses_others or name in scripts.undeclaring:
                scripts.note_undeclared(name, self._uses_others, has_ended=has_ended)

    def _run_known(self, is_fast: bool) -> Outcome:
        """Run the script, which is known to others if it may take long."""
        self._running = None
        if is_fast:
            return self._run_alone()
        running = Running(self._name, self._request, is_function=self.is_for_functions)
        self._running = running
        self._scripts.begin(running)
        try:
            return self._run_alone()
        finally:
            self._scripts.end(running)

    def _run_alone(self) -> Outcome:
        caller = self._enter()
        try:
            return self._run(caller)
        finally:
            self._ctx.session = caller

    def _enter(self) -> Session:
        """Have a script speak for the context's session, which is returned."""
        ctx = self._ctx
        caller, own = ctx.session, self.session
        own.id, own.database = caller.id, caller.database
        own.user = caller.user.as_it_is()  # so that a change does not stop a script half way
        own.tracking, own.mailbox, own.no_touch = caller.tracking, caller.mailbox, caller.no_touch
        own.received = self._read = caller.received
        self._quick = self._quick_ones()
        ctx.session = own
        return caller

    def _run(self, caller: Session) -> Outcome:
        name, own = self._name, self.session
        own.protocol, own.encoders = 2, self._converters[2]
        self._has_written = False
        self._ending = self._given_up = None
        self._rejected = {}
        self._declared = frozenset(self._request[3 : 3 + self._keys])
        self.calls = 0
        self._started = perf_counter_ns()
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
            self._started = 0
            self.runtime.tidy()
            if own.database != caller.database:
                own.database = caller.database
                self._ctx.db = self._ctx.tx.database(caller.database)

    def _quick_ones(self) -> dict[bytes, Plain]:
        """Of ``_plain`` what the script that begins may use."""
        ctx = self._ctx
        if self._running is not None or self.session.user.permits is not None:
            return {}
        if self._only_reads or ctx.services.disk.failure:
            return self._reading
        return self._plain

    # What scripts ask for

    def call(self, *arguments: Any) -> Any:
        """The hot path of scripts. What is not quite ordinary goes through ``_call``, which does
        the same for all."""
        request = [*arguments]
        try:
            plain = self._quick.get(arguments[0]) if arguments else None
            if plain is None:
                return self._call(request)
            command, key_at, writes, low, high = plain
            if not low <= len(request) <= high:
                return self._call(request)
            for argument in arguments:
                if type(argument) is not bytes:
                    return self._call(request)
            if not key_at or request[key_at] not in self._declared:
                return self._call(request)
            if writes:
                self._has_written = True
            self.calls += 1
            value = self._dispatch(command, request, self._read)
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
        claims = claims_of(command, request)
        if claims is None or not claims <= self._declared:
            self._uses_others = True
            ctx.require(claims)
        name = request[0]
        if _table.get(name) is command and name not in self._plain and _is_plain(command):
            writes = command.may_write
            plain = command, command.single_key, writes, command.low, command.high
            self._plain[name] = plain
            if not writes:
                self._reading[name] = plain
        self.calls += 1
        value = ctx.call(command, request, self._read)
        return value if self._given_up is None else (b"", ENDING)

    def _reject(self, command: Command | None, message: str) -> Any:
        rejection = command, ReplyError(message).code
        self._rejected[rejection] = self._rejected.get(rejection, 0) + 1
        return message.encode("utf-8", "surrogateescape"), ERROR

    def check(self) -> bytes | None:
        if not self._started:  # Lua does what is no script's doing
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
            self._ctx.be_busy(BUSY_FUNCTION if running.is_function else BUSY_SCRIPT)
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
