"""The one declaration of a command, and the table of all.

A handler is declared once, by ``@command`` at its definition; lookup, arity check, COMMAND and its
subcommands, ACL categories, lock sets, lanes and the page of supported commands all derive from
that. A wrong declaration raises at import. Knows no RESP, no sockets, no storage.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from tendis_py.errors import ReplyError, unknown_subcommand, wrong_arity

if TYPE_CHECKING:
    from tendis_py.commands.context import Context

Handler = Callable[["Context", list[bytes]], Any]


class Lane(Enum):
    """Where a command runs. CONTROL touches no key and never waits behind data; SLOW may take
    long, and runs apart from FAST ones when the threading model has a slow lane."""

    CONTROL = "control"
    FAST = "fast"
    SLOW = "slow"


FLAGS = frozenset(
    "write readonly denyoom admin pubsub noscript blocking loading stale skip_monitor "
    "skip_slowlog asking fast no_auth may_replicate movablekeys allow_busy no_async_loading "
    "no_multi no_mandatory_keys".split()
)

GROUPS = frozenset(
    "generic string list set sorted-set hash stream bitmap hyperloglog geo connection server "
    "transactions pubsub scripting cluster".split()
)

_GROUP_CATEGORY = {"sorted-set": "sortedset", "generic": "keyspace"}
_NO_GROUP_CATEGORY = frozenset(("server", "cluster"))


@dataclass(frozen=True, slots=True)
class Keys:
    """Where keys stand in the arguments (a Redis key specification).

    ``first`` is the position of the first key. ``last`` is its last position relative to ``first``
    (0: one key; negative: counted from the end, -1 is the last argument), ``step`` from one key to
    the next. With ``count`` the number of keys stands at that position and the keys from ``first``
    on. With ``keyword`` the key follows that word, looked for from position ``first`` on (negative:
    backwards from the end). ``flags`` are Redis' key-spec flags, ``"RW access update"``.
    """

    flags: str
    first: int = 1
    last: int = 0
    step: int = 1
    count: int | None = None
    keyword: str | None = None

    def positions(self, args: list[bytes]) -> range:
        """Positions of the keys in ``args``; ReplyError when the arguments can't be right."""
        size = len(args)
        if self.keyword is not None:
            return self._after_keyword(args)
        if self.count is not None:
            try:
                number = int(args[self.count])
            except (ValueError, IndexError):
                raise ReplyError("ERR Invalid arguments specified for command") from None
            if number < 0 or self.first + number > size:
                raise ReplyError("ERR Invalid arguments specified for command")
            return range(self.first, self.first + number)
        last = self.first + self.last if self.last >= 0 else size + self.last
        return range(self.first, min(last, size - 1) + 1, self.step)

    def _after_keyword(self, args: list[bytes]) -> range:
        word = str(self.keyword).encode()
        indexes: Iterable[int] = (
            range(self.first, len(args))
            if self.first > 0
            else range(len(args) + self.first, 0, -1)
        )
        for index in indexes:
            if args[index].upper() == word and index + 1 < len(args):
                return range(index + 1, index + 2)
        return range(0)


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
    lane: Lane = Lane.FAST
    exclusive: bool = False
    """Claims every key: FLUSHALL and the like."""
    categories: frozenset[str] = frozenset()
    tips: tuple[str, ...] = ()
    docs_syntax: str = ""
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    low: int = 0
    high: int = 0
    """The dispatcher's fast path takes a request whose length is within low … high; containers,
    slow commands and those that alter the session have an empty range, so that one comparison
    finds everything special."""

    @property
    def fits(self) -> range:
        """The numbers of arguments, name included, that the arity allows."""
        return range(self.arity, self.arity + 1) if self.arity > 0 else range(-self.arity, 2**31)

    def select(self, args: list[bytes]) -> Command:
        """This command, or the subcommand that ``args`` name. ReplyError when there is none."""
        if not self.subcommands or len(args) < 2:
            return self
        found = self.subcommands.get(args[1].lower())
        if found is None:
            raise unknown_subcommand(self.name, args[1])
        return found

    def resolve(self, args: list[bytes]) -> Command:
        """As ``select``; ReplyError on a wrong arity, too."""
        command = self.select(args)
        if len(args) not in command.fits:
            raise wrong_arity(command.name)
        return command

    def keys_in(self, args: list[bytes]) -> list[bytes]:
        """The keys that ``args`` name, in order, repeats included."""
        keys = self.keys
        if len(keys) == 1:
            spec = keys[0]
            if spec.last == 0 and spec.count is None and spec.keyword is None:
                return [args[spec.first]] if len(args) > spec.first else []
        return [args[at] for spec in keys for at in spec.positions(args)]

    @property
    def writes(self) -> bool:
        return "write" in self.flags


class Registry:
    """All commands by lower-case name."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.table: dict[bytes, Command] = {}
        """What the dispatcher looks names up in: each in lower and in upper case."""

    def lookup(self, name: bytes) -> Command | None:
        """The command of that name, in whatever case."""
        return self.table.get(name) or self.table.get(name.lower())

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
    complexity: str = "O(1)",
    lane: Lane | None = None,
    exclusive: bool = False,
    alters_session: bool = False,
    categories: str = "",
    tips: tuple[str, ...] = (),
    syntax: str = "",
) -> Callable[[Handler], Handler]:
    """Declare a handler as command ``name`` (``"get"``, or ``"config|get"``).

    The docstring's first paragraph is the summary of COMMAND DOCS. ``syntax`` spells the arguments
    as in Redis' manual (``"key value [NX | XX]"``), for the page of supported commands.
    ``alters_session``: the session's gates may be others afterwards (AUTH, RESET, QUIT).
    Commands without a key run on the CONTROL lane unless ``lane`` says otherwise.
    """
    words = frozenset(flags.split())
    specs = keys if isinstance(keys, tuple) else (keys,)
    if unknown := words - FLAGS:
        raise ValueError(f"{name}: unknown flags {sorted(unknown)}")
    if group not in GROUPS:
        raise ValueError(f"{name}: unknown group {group!r}")
    if "write" in words and "readonly" in words:
        raise ValueError(f"{name}: write and readonly exclude each other")
    if arity == 0 or name != name.lower():
        raise ValueError(f"{name}: arity 0, or a name not in lower case")
    if lane is None:
        lane = Lane.FAST if specs or words & {"write", "readonly"} else Lane.CONTROL

    def declare(handler: Handler) -> Handler:
        summary = " ".join((inspect.getdoc(handler) or "").partition("\n\n")[0].split())
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
            lane=lane,
            exclusive=exclusive,
            categories=_categories(words, group, categories),
            tips=tips,
            docs_syntax=syntax,
        )
        made.low = abs(arity)
        made.high = arity if arity > 0 else 2**31
        if lane is Lane.SLOW or alters_session:
            made.low, made.high = 1, 0
        REGISTRY._add(made)
        return handler

    return declare


def container(
    name: str, *, group: str, since: str, summary: str, flags: str = "", categories: str = ""
) -> None:
    """Declare a command that only has subcommands; those follow with ``@command("name|sub")``."""

    def no_subcommand(ctx: Context, args: list[bytes]) -> Any:
        raise wrong_arity(name)

    no_subcommand.__doc__ = summary
    command(
        name,
        -2,
        group=group,
        since=since,
        flags=flags,
        complexity="Depends on subcommand.",
        categories=categories,
        lane=Lane.CONTROL,
    )(no_subcommand)


def _categories(flags: frozenset[str], group: str, extra: str) -> frozenset[str]:
    """ACL categories, most implied by flags and group as Redis does it (setImplicitACLCategories).

    ``extra`` adds words; one with a ``-`` takes an implied category away.
    """
    implied = set()
    if "write" in flags:
        implied.add("write")
    if "readonly" in flags and "noscript" not in flags:
        implied.add("read")
    if "admin" in flags:
        implied |= {"admin", "dangerous"}
    for word in ("pubsub", "blocking"):
        if word in flags:
            implied.add(word)
    implied.add("fast" if "fast" in flags else "slow")
    if group not in _NO_GROUP_CATEGORY:
        implied.add(_GROUP_CATEGORY.get(group, group))
    for word in extra.split():
        if word.startswith("-"):
            implied.discard(word[1:])
        else:
            implied.add(word)
    return frozenset(implied)


