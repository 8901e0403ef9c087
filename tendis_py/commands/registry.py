"""The one declaration of a command, and the table of all.

A handler is declared once, by ``@command`` at its definition; lookup, arity check, COMMAND and its
subcommands, ACL categories, lock sets, lanes and the page of supported commands all derive from
that. A wrong declaration raises at import. Knows no RESP, no sockets, no storage.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from tendis_py import REDIS_VERSION
from tendis_py.commands.events import KIND_OF_GROUP, Events, fires
from tendis_py.commands.key_specs import Keys, NoKeysError, all_positions, movable
from tendis_py.errors import unknown_subcommand, wrong_arity
from tendis_py.resp.replies import Replies, Reply
from tendis_py.resp.requests import Request

if TYPE_CHECKING:
    from tendis_py.commands.context import Context

__all__ = ["REGISTRY", "Command", "Keys", "Lane", "Registry", "command", "container"]

Handler = Callable[["Context", list[bytes]], Reply]
RunHandler = Callable[["Context", list[list[bytes]]], "Replies | None"]
"""Takes a run of consecutive requests of one command at once, and returns a value for each; None
when they should be taken one by one after all. What it wrote and counted is then undone, as it is
when the values are data and long: replies must not pile up before any is sent. A run that writes
what can't be undone (``Database.set_all``) answers OK or integers."""

FindKeys = Callable[[Request], list[tuple[int, str]]]
"""Arguments → position and flags of each key, ``(1, "RW access update")``."""

FindClaims = Callable[[Request], "list[bytes] | None"]
"""Arguments, however few, → the keys to lock; None for all."""


class Lane(Enum):
    """Where a command runs. CONTROL touches no key and never waits behind data; SLOW may take
    long, and runs apart from FAST ones when the threading model has a slow lane."""

    CONTROL = "control"
    FAST = "fast"
    SLOW = "slow"


FAST_ROWS = 2048
"""Rows that a command may take on the fast lane, and arguments that it may have there: one or two
milliseconds."""

FLAGS = (
    "write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
    "skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "no_mandatory_keys",
    "no_async_loading", "no_multi", "movablekeys", "allow_busy", "may_replicate",
)  # fmt: skip
"""In the order of COMMAND INFO, which leaves the last one out."""

NOT_QUEUED = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that run within a transaction rather than wait for EXEC."""

_REPEATABLE = frozenset(
    (
        *("ping", "echo", "time", "select", "publish", "spublish"),
        *("client|caching", "client|getname", "client|id", "client|trackinginfo"),
    )
)
"""Commands of the CONTROL lane that may run twice: they change nothing, or what the first one did
is dropped, or is what the second one does."""

CATEGORIES = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
    "hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous",
    "connection", "transaction", "scripting", "sortedint",
)  # fmt: skip
"""ACL categories, in the order of COMMAND INFO: Redis', and one for each type that it lacks."""

_GROUP_CATEGORY = {
    "generic": "keyspace",
    "sorted-set": "sortedset",
    "transactions": "transaction",
    "server": "",
    "cluster": "",
}
"""Group → the category it implies, where that is named otherwise."""

GROUPS = (
    "generic", "string", "list", "set", "sorted-set", "hash", "stream", "bitmap", "hyperloglog",
    "geo", "connection", "server", "transactions", "pubsub", "scripting", "cluster",
    "sortedint",
)  # fmt: skip


@dataclass(eq=False, slots=True)
class Command:
    """A declared command or subcommand. ``name`` is lower case; a subcommand's is
    ``container|sub``. ``arity`` as Redis counts it: with the name, negative for "at least"."""

    name: str
    arity: int
    handler: Handler
    flags: frozenset[str]
    group: str
    since: str
    complexity: str
    summary: str
    keys: tuple[Keys, ...] = ()
    find_keys: FindKeys | None = None
    """Finds the keys, or their flags, where ``keys`` can't tell them."""
    lane: Lane = Lane.FAST
    exclusive: bool = False
    """Claims every key: FLUSHALL and the like."""
    find_claims: FindClaims | None = None
    """Finds the keys to lock, where they are others than ``keys`` tells: SORT reads keys that
    derive from what it sorts."""
    categories: frozenset[str] = frozenset()
    tips: tuple[str, ...] = ()
    docs_syntax: str = ""
    origin: str = ""
    """Where it comes from, if Redis REDIS_VERSION does not have it: ``Redis 8.4``, ``Kvrocks``."""
    newer: str = ""
    """Those of its options that Redis REDIS_VERSION does not have, and where they come from."""
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    single_key: int = 0
    """The position of the only key; 0 for a command that may have none or several."""
    run: RunHandler | None = None
    run_takes_one_key: bool = False
    """Whether ``run`` is only for requests with the same key at position 1."""
    answers_alike: bool = False
    """Whether equal requests that come together have equal replies, worth making only once."""
    long_value: int = 0
    """The position of an argument that may come as Pieces; 0 for none."""
    apart: bool = False
    """Whether it may take as long as it likes: once it is for the slow lane, it runs in a thread of
    its own, in every threading model."""
    may_write: bool = False
    """Whether CLIENT PAUSE WRITE holds it back, and an EXEC of it."""
    reads_only: bool = False
    """Whether all it does is to read keys and answer, at once."""
    is_queued: bool = True
    """Whether it waits for EXEC within a transaction."""
    runs_once: bool = False
    """Whether it must not be begun within an EXEC that may have to be begun again: it changes, or
    tells of, something that is not taken back with what was written."""
    events: Events | None = None
    """The keyspace events of a command that has run."""
    low: int = 0
    high: int = 0
    """The dispatcher's fast path takes a request whose length is within low … high; containers,
    slow commands and those that alter the session have an empty range, and very many arguments are
    outside of it, so that one comparison finds everything special."""

    @property
    def fits(self) -> range:
        """The numbers of arguments, name included, that the arity allows."""
        return range(self.arity, self.arity + 1) if self.arity > 0 else range(-self.arity, 2**31)

    @property
    def special(self) -> bool:
        """Whether it never takes the dispatcher's fast path, and may alter the session."""
        return self.low > self.high

    def lane_of(self, args: Request) -> Lane:
        """Where a request runs: what has very many arguments takes long, whatever it is."""
        return Lane.SLOW if len(args) > FAST_ROWS and self.lane is Lane.FAST else self.lane

    def select(self, args: list[bytes]) -> Command:
        """This command, or the subcommand that ``args`` name. ReplyError when there is none."""
        if not self.subcommands or len(args) < 2:
            return self
        found = self.subcommands.get(args[1].lower())
        if found is None:
            raise unknown_subcommand(self.name, args[1])
        return found

    def keys_in(self, args: Request) -> list[bytes]:
        """The keys that ``args`` name, in order, repeats included; none when the arguments can't
        be right."""
        at = self.single_key
        if at:
            return [args[at]] if at < len(args) else []
        try:
            if self.find_keys is None or all(spec.complete for spec in self.keys):
                named = (spec for spec in self.keys if spec.names_keys)
                return [args[at] for spec in named for at in spec.positions(args)]
            return [args[at] for at, _ in self.find_keys(args)]
        except NoKeysError:
            return []

    def key_flags(self, args: Request) -> list[tuple[bytes, tuple[str, ...]]]:
        """Each key that ``args`` name, with the flags of its use. NoKeysError when the arguments
        can't be right."""
        return [(args[at], flags) for at, flags in self._uses(args)]

    def key_uses(self, args: Request) -> list[tuple[int, tuple[str, ...]]]:
        """As ``key_flags``, each by its position; none when the arguments can't be right."""
        try:
            return self._uses(args)
        except NoKeysError:
            return []

    def _uses(self, args: Request) -> list[tuple[int, tuple[str, ...]]]:
        if self.find_keys is not None:
            return [(at, tuple(flags.split())) for at, flags in self.find_keys(args)]
        return [(at, spec.words) for at, spec in all_positions(self.keys, args)]

    @property
    def key_use_varies(self) -> bool:
        return self.find_keys is not None

    @property
    def takes_keys(self) -> bool:
        return self.find_keys is not None or any(spec.names_keys for spec in self.keys)

    @property
    def writes(self) -> bool:
        return "write" in self.flags


class Registry:
    """All commands by lower-case name."""

    categories = CATEGORIES

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.table: dict[bytes, Command] = {}
        """What the dispatcher looks names up in: each in lower and in upper case."""

    def lookup(self, name: bytes) -> Command | None:
        """The command of that name, in whatever case."""
        return self.table.get(name) or self.table.get(name.lower())

    def long_value(self, name: bytes) -> int:
        """``Command.long_value`` of the command of that name, 0 where there is none."""
        command = self.lookup(name)
        return 0 if command is None else command.long_value

    def find(self, request: list[bytes]) -> Command | None:
        """The command or subcommand that a request names."""
        command = self.lookup(request[0])
        if command is not None and command.subcommands and len(request) > 1:
            return command.subcommands.get(request[1].lower())
        return command

    def named(self, full_name: bytes) -> Command | None:
        """The command of a full name, ``get`` or ``config|get``, in whatever case."""
        name, bar, sub = full_name.partition(b"|")
        command = self.lookup(name)
        return command.subcommands.get(sub.lower()) if command is not None and bar else command

    def all(self) -> list[Command]:
        """Commands and subcommands, in order of name."""
        found = list(self.commands.values())
        for command in self.commands.values():
            found.extend(command.subcommands.values())
        return sorted(found, key=lambda command: command.name)

    def _add(self, command: Command) -> None:
        container_name, _, sub = command.name.partition("|")
        if sub:
            container = self.commands.get(container_name)
            if container is None or sub.encode() in container.subcommands:
                raise ValueError(f"{command.name}: no such container, or declared twice")
            container.subcommands[sub.encode()] = command
            container.low, container.high = 1, 0
            return
        if command.name in self.commands:
            raise ValueError(f"{command.name} is declared twice")
        self.commands[command.name] = command
        self.table[command.name.encode()] = command
        self.table[command.name.upper().encode()] = command


REGISTRY = Registry()


def command(
    name: str,
    arity: int,
    *,
    group: str,
    since: str,
    flags: str = "",
    keys: Keys | tuple[Keys, ...] = (),
    find_keys: FindKeys | None = None,
    claims: FindClaims | None = None,
    complexity: str = "O(1)",
    lane: Lane | None = None,
    exclusive: bool = False,
    apart: bool = False,
    alters_session: bool = False,
    run: RunHandler | None = None,
    run_on_key: RunHandler | None = None,
    long_value: int = 0,
    events: str | Events | None = None,
    categories: str = "",
    tips: tuple[str, ...] = (),
    syntax: str = "",
    origin: str = "",
    newer: str = "",
) -> Callable[[Handler], Handler]:
    """Declare a handler as command ``name`` (``"get"``, or ``"config|get"``).

    The docstring's first paragraph is the summary of COMMAND DOCS. ``syntax`` spells the arguments
    as in Redis' manual (``"key value [NX | XX]"``), for the page of supported commands.
    ``run`` takes runs of requests, pipelined or of several clients, faster than the handler can
    one by one; ``run_on_key`` those with the same key at position 1.
    ``long_value``: the position of an argument that the handler takes in pieces where it is long.
    ``events``: what notifications tell of a command that has run; every command that writes says
    it. The name of one event is fired for the first key if that has changed, followed by ``del``
    if the key is gone, and is of the group's class; for all others see ``events.py``.
    ``apart``: it may take as long as it likes (a script), in a thread of its own once it is for the
    slow lane.
    ``alters_session``: the session's gates may be others afterwards (AUTH, RESET, QUIT).
    ``find_keys`` is for keys that no specification finds, or that are marked variable_flags.
    ``claims`` is for keys that are read or written without being named: see ``find_claims``.
    ``categories`` adds ACL categories to those that Redis derives from flags and group; one with
    a ``-`` is taken away. The flag movablekeys follows from ``keys``.
    ``origin`` is for commands that no Redis has; of those that came after REDIS_VERSION it follows
    from ``since``. ``newer`` names options that came later: ``"IFEQ, IFNE: Redis 8.4"``.
    Commands without a key run on the CONTROL lane unless ``lane`` says otherwise.
    """
    words = frozenset(flags.split())
    specs = keys if isinstance(keys, tuple) else (keys,)
    if unknown := words.difference(FLAGS):
        raise ValueError(f"{name}: unknown flags {sorted(unknown)}")
    if group not in GROUPS:
        raise ValueError(f"{name}: unknown group {group!r}")
    if "write" in words and "readonly" in words:
        raise ValueError(f"{name}: write and readonly exclude each other")
    if find_keys is None and not all(spec.complete for spec in specs):
        raise ValueError(f"{name}: its keys can't be found without find_keys")
    if movable(specs):
        words |= {"movablekeys"}
    if arity == 0 or name != name.lower():
        raise ValueError(f"{name}: arity 0, or a name not in lower case")
    if lane is None:
        lane = Lane.FAST if specs or words & {"write", "readonly"} else Lane.CONTROL

    if isinstance(events, str):
        events = fires(events, KIND_OF_GROUP[group], at=specs[0].first)
    declared: Events | None = events

    def declare(handler: Handler) -> Handler:
        summary = " ".join((inspect.getdoc(handler) or "").partition("\n\n")[0].splitlines())
        if not summary:
            raise ValueError(f"{name}: its handler has no docstring")
        made = Command(
            name=name,
            arity=arity,
            handler=handler,
            flags=words,
            group=group,
            since=since,
            complexity=complexity,
            summary=summary,
            keys=specs,
            find_keys=find_keys,
            lane=lane,
            exclusive=exclusive,
            apart=apart,
            find_claims=claims,
            categories=_categories(words, group, categories),
            tips=tips,
            docs_syntax=syntax,
            origin=origin or _origin(since),
            newer=newer,
            run=run or run_on_key,
            run_takes_one_key=run_on_key is not None,
            long_value=long_value,
            events=declared,
            answers_alike=(
                "readonly" in words
                and not words & {"fast", "blocking"}
                and "nondeterministic_output" not in tips
            ),
        )
        if len(specs) == 1 and specs[0].is_one_key:
            made.single_key = specs[0].first
        made.may_write = not words.isdisjoint(("write", "may_replicate"))
        made.reads_only = "readonly" in words and not words & {"blocking", "may_replicate"}
        made.is_queued = name not in NOT_QUEUED and "no_multi" not in words
        made.runs_once = name not in _REPEATABLE and (alters_session or lane is Lane.CONTROL)
        made.low = abs(arity)
        made.high = arity if arity > 0 else FAST_ROWS
        if lane is Lane.SLOW or alters_session:
            made.low, made.high = 1, 0
        REGISTRY._add(made)
        return handler

    return declare


def container(
    name: str,
    *,
    group: str,
    since: str,
    summary: str,
    flags: str = "",
    categories: str = "",
    origin: str = "",
) -> None:
    """Declare a command that only has subcommands; those follow with ``@command("name|sub")``.

    Its group implies no ACL category; only its subcommands' does.
    """

    def no_subcommand(ctx: Context, args: list[bytes]) -> Reply:
        raise wrong_arity(name)

    no_subcommand.__doc__ = summary
    command(
        name,
        -2,
        group=group,
        since=since,
        flags=flags,
        complexity="Depends on subcommand.",
        categories=f"-{_GROUP_CATEGORY.get(group, group)} {categories}",
        lane=Lane.CONTROL,
        origin=origin,
    )(no_subcommand)


def _origin(since: str) -> str:
    """Of a command of Redis: the version, if that is a later one than REDIS_VERSION."""
    major, minor = since.split(".")[:2]
    there = tuple(map(int, REDIS_VERSION.split(".")[:2]))
    return f"Redis {major}.{minor}" if (int(major), int(minor)) > there else ""


def _categories(flags: frozenset[str], group: str, extra: str) -> frozenset[str]:
    """ACL categories, most implied by flags and group as Redis does it (setImplicitACLCategories).

    ``extra`` adds words; one with a ``-`` takes an implied category away.
    """
    implied = {_GROUP_CATEGORY.get(group, group), "fast" if "fast" in flags else "slow"}
    if "readonly" in flags and group != "scripting":
        implied.add("read")
    if "admin" in flags:
        implied |= {"admin", "dangerous"}
    implied |= flags & {"write", "pubsub", "blocking"}
    words = extra.split()
    implied |= {word for word in words if not word.startswith("-")}
    implied -= {word[1:] for word in words if word.startswith("-")}
    implied.discard("")
    if unknown := implied.difference(CATEGORIES):
        raise ValueError(f"unknown categories {sorted(unknown)}")
    return frozenset(implied)
