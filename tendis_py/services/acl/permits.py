"""Whether a user's rules let a request pass, compiled so that it is soon told.

Pure, as ``rules``. A user of whom all is allowed has no ``Permits``, and costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from tendis_py.glob import SHORT, compile_glob
from tendis_py.resp.requests import Request
from tendis_py.services.acl.rules import (
    READ,
    WRITE,
    CommandTable,
    Definition,
    KnownCommand,
    Selector,
)

Matches = Callable[[bytes], bool]
Allows = Callable[[Request], bool]


class Reason(Enum):
    """Why a request was denied, by the word of ACL LOG, from what matters least."""

    COMMAND = "command"
    KEY = "key"
    AUTH = "auth"
    CHANNEL = "channel"


_WEIGHT = {reason: weight for weight, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Denial:
    """``position`` is that of the key or channel among the arguments."""

    reason: Reason
    position: int = 0

    def outweighs(self, other: Denial) -> bool:
        mine, others = _WEIGHT[self.reason], _WEIGHT[other.reason]
        return mine > others or (mine == others and self.position > other.position)


@dataclass(frozen=True, slots=True)
class Channels:
    """Where a command names channels: from position 1 to ``last`` (-1: to the end)."""

    last: int
    patterns: bool = False


CHANNELS = {
    "publish": Channels(1),
    "spublish": Channels(1),
    "subscribe": Channels(-1),
    "ssubscribe": Channels(-1),
    "psubscribe": Channels(-1, patterns=True),
}
"""Commands that may be denied a channel. To leave one is allowed to everybody."""

_USES = {"access": READ, "insert": WRITE, "delete": WRITE, "update": WRITE}

_COMMAND_DENIED = Denial(Reason.COMMAND)


def _needed(flags: Iterable[str]) -> int:
    """What a key's flags ask for: READ, WRITE, both or neither."""
    needed = 0
    for flag in flags:
        needed |= _USES.get(flag, 0)
    return needed


class _CompiledSelector:
    __slots__ = ("_keys", "_literal_channels", "_matches_channel", "_selector")

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._keys = tuple(
            matcher(pattern for pattern, uses in selector.keys.items() if uses & needed == needed)
            for needed in range(4)
        )
        """By what is needed of a key."""
        self._matches_channel = matcher(selector.channels)

    def allows(self, command: KnownCommand) -> bool:
        return "no_auth" in command.flags or self._selector.allows(command.name)

    def knows_first_arguments(self, command: KnownCommand) -> bool:
        return command.name in self._selector.first_arguments

    def allows_any_key(self, command: KnownCommand) -> bool:
        return self._selector.all_keys or not command.takes_keys

    def allows_any_channel(self, command: KnownCommand) -> bool:
        return self._selector.all_channels or command.name not in CHANNELS

    def keys(self, flags: Iterable[str]) -> Matches:
        """Which keys may be used as ``flags`` say; for a selector that does not allow all."""
        return self._keys[_needed(flags)]

    def reads_all_keys(self) -> bool:
        selector = self._selector
        return selector.all_keys or bool(selector.keys.get(b"*", 0) & READ)

    def denial(
        self, command: KnownCommand, request: Request, uses: list[tuple[int, tuple[str, ...]]]
    ) -> Denial | None:
        if not self.allows(command):
            first = self._selector.first_arguments.get(command.name, ())
            argument = request[1] if len(request) > 1 else None
            if not (isinstance(argument, bytes) and argument.lower() in first):
                return _COMMAND_DENIED
        if not self._selector.all_keys:
            for position, flags in uses:
                if not self._keys[_needed(flags)](request[position]):
                    return Denial(Reason.KEY, position)
        if not self.allows_any_channel(command):
            channels = CHANNELS[command.name]
            end = len(request) if channels.last < 0 else channels.last + 1
            for position in range(1, end):
                if not self.allows_channel(request[position], is_pattern=channels.patterns):
                    return Denial(Reason.CHANNEL, position)
        return None

    def allows_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        """A pattern has to be allowed as such: by the very same one."""
        if self._selector.all_channels:
            return True
        if is_pattern:
            return channel in self._selector.channels
        return self._matches_channel(channel)


class Permits:
    """What a definition permits. Any thread may ask."""

    __slots__ = ("_quick", "_selectors")

    def __init__(self, definition: Definition, table: CommandTable) -> None:
        self._selectors = [_CompiledSelector(selector) for selector in definition.selectors]
        self._quick = _Quick(self, table)

    def leading(self, requests: Sequence[Request]) -> int:
        """How many of ``requests`` may run, up to one that may not, or has to be looked at."""
        quick = self._quick
        number = 0
        for request in requests:
            allows = quick[request[0]]
            if allows is not True and not (allows and allows(request)):
                break
            number += 1
        return number

    def denial(self, command: KnownCommand, request: Request) -> Denial | None:
        """Why ``request``, whose ``command`` and arity are right, may not run; None if it may."""
        uses = command.key_uses(request) if command.takes_keys else []
        worst = _COMMAND_DENIED
        for selector in self._selectors:
            denial = selector.denial(command, request, uses)
            if denial is None:
                return None
            if denial.outweighs(worst):
                worst = denial
        return worst

    def reads_all_keys(self, command: KnownCommand, request: Request) -> bool:
        """Whether ``request`` may run and use any key besides (SORT's patterns)."""
        uses = command.key_uses(request) if command.takes_keys else []
        return any(
            selector.denial(command, request, uses) is None and selector.reads_all_keys()
            for selector in self._selectors
        )

    def allows_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        return any(
            selector.allows_channel(channel, is_pattern=is_pattern) for selector in self._selectors
        )

    def compiled(self, command: KnownCommand, table: CommandTable) -> Allows | bool:
        """``command``'s entry in what ``leading`` looks at: True if it is allowed whatever its
        arguments are, else the question whether a request of it is."""
        if command.subcommands:
            return lambda request: (
                (found := table.find(request)) is not None and self.denial(found, request) is None
            )
        allowing = [selector for selector in self._selectors if selector.allows(command)]
        if any(it.allows_any_key(command) and it.allows_any_channel(command) for it in allowing):
            return True
        at = command.single_key
        if (
            not at
            or command.name in CHANNELS
            or any(it.knows_first_arguments(command) for it in self._selectors)
        ):
            return lambda request: self.denial(command, request) is None
        if command.key_use_varies:
            for_all_uses = _any_of([selector.keys(_USES) for selector in allowing])
            return lambda request: (
                len(request) > at
                and (for_all_uses(request[at]) or self.denial(command, request) is None)
            )
        _, flags = command.key_uses([b""] * (at + 1))[0]
        matches = _any_of([selector.keys(flags) for selector in allowing])
        return lambda request: len(request) > at and matches(request[at])


class _Quick(dict[bytes, "Allows | bool"]):
    """The name that a request begins with → ``Permits.compiled``, made when it is asked for."""

    def __init__(self, permits: Permits, table: CommandTable) -> None:
        super().__init__()
        self._permits = permits
        self._table = table

    def __missing__(self, name: bytes) -> Allows | bool:
        command = self._table.find([name])
        if command is None:
            return False
        allows = self._permits.compiled(command, self._table)
        if name in (name.lower(), name.upper()):  # else there may be any number of spellings
            self[name] = allows
        return allows


def matcher(patterns: Iterable[bytes]) -> Matches:
    """Whether one of ``patterns`` matches; for any thread."""
    prefixes: list[bytes] = []
    others: list[Matches] = []
    for pattern in patterns:
        start = pattern[:-1]
        if pattern == b"*":
            others.append(bool)  # not the empty one: so it is for ACL
        elif pattern.endswith(b"*") and not any(it in start for it in (b"*", b"?", b"[", b"\\")):
            prefixes.append(start)
        else:
            matches = compile_glob(pattern)
            others.append(_locked(matches) if len(pattern) > SHORT else matches)
    if prefixes:
        begins = tuple(prefixes)
        others.insert(0, lambda subject: subject.startswith(begins))
    return _any_of(others)


def _locked(matches: Matches) -> Matches:
    """A long pattern's matcher is for one thread at a time."""
    lock = threading.Lock()

    def match(subject: bytes) -> bool:
        with lock:
            return matches(subject)

    return match


def _any_of(predicates: list[Matches]) -> Matches:
    if len(predicates) == 1:
        return predicates[0]
    return lambda subject: any(matches(subject) for matches in predicates)
