"""What a user may do, as ACL SETUSER says it: rules in, a definition out, and the rules again.

Role: the language of ACL rules. Pure: knows neither sessions nor files, and commands only as far as
``CommandTable`` tells. A definition that is a user's is never changed: a change makes another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from enum import Enum
from hashlib import sha256
from typing import Protocol

from tendis_py.config.kinds import quote
from tendis_py.config.syntax import decode, encode, split_words
from tendis_py.resp.requests import Request

READ, WRITE = 1, 2


class KnownCommand(Protocol):
    """What is known here of a command; the name of a subcommand is ``container|sub``."""

    @property
    def name(self) -> str: ...
    @property
    def flags(self) -> frozenset[str]: ...
    @property
    def categories(self) -> frozenset[str]: ...
    @property
    def subcommands(self) -> Mapping[bytes, KnownCommand]: ...
    @property
    def single_key(self) -> int:
        """The position of the only key; 0 for a command that may have none or several."""

    @property
    def takes_keys(self) -> bool: ...
    @property
    def key_use_varies(self) -> bool:
        """Whether its arguments say how it uses its keys."""

    def key_uses(self, request: Request, /) -> list[tuple[int, tuple[str, ...]]]:
        """The position of each key that ``request`` names, and how it is used; none when the
        arguments can't be right."""


class CommandTable(Protocol):
    @property
    def categories(self) -> Sequence[str]: ...

    def named(self, full_name: bytes, /) -> KnownCommand | None:
        """The command of a full name, in whatever case."""

    def find(self, request: Request, /) -> KnownCommand | None:
        """The command or subcommand that ``request`` names."""

    def all(self) -> Sequence[KnownCommand]:
        """Commands and subcommands."""


class Fault(Enum):
    """What can be wrong with a rule, in Redis' words."""

    UNKNOWN = "Unknown command or category name in ACL"
    SYNTAX = "Syntax error"
    AFTER_ALL_KEYS = (
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not "
        "have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )
    AFTER_ALL_CHANNELS = (
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does "
        "not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )
    NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
    NO_HASH = (
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
        "characters"
    )
    DUPLICATE = "Duplicate user found. A user can only be defined once in config files"
    ARGUMENT_OF_SUBCOMMAND = "Allowing first-arg of a subcommand is not supported"


class RuleError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.rule = b""
        """What was wrong, as ``Definition.changed`` was given it."""


class UnmatchedError(Exception):
    """A selector that is not closed; ``index`` is where it begins."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


_BLANKS = frozenset(b" \t\n\v\f\r\0")
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_LETTERS = {ord("r"): READ, ord("R"): READ, ord("w"): WRITE, ord("W"): WRITE}
_PREFIXES = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}


def has_blanks(text: bytes) -> bool:
    """Whether ``text`` could not stand in a line of rules as one word."""
    return not _BLANKS.isdisjoint(text)


def safe_word(word: bytes) -> bytes:
    """``word`` so that ``split_words`` takes it for one, and for what it is."""
    return encode(quote(decode(word))) if b'"' in word or b"'" in word else word


def hash_password(password: bytes) -> bytes:
    return sha256(password).hexdigest().encode()


class Selector:
    """Commands, and the keys and channels that they may be used on."""

    __slots__ = (
        "_count",
        "_rules",
        "all_channels",
        "all_keys",
        "began_with_all",
        "channels",
        "commands",
        "everything",
        "first_arguments",
        "keys",
    )

    def __init__(self, *, all_channels: bool) -> None:
        self.all_keys = False
        self.keys: dict[bytes, int] = {}
        """Pattern → READ, WRITE or both."""
        self.all_channels = all_channels
        self.channels: dict[bytes, None] = {}
        """Patterns, in order."""
        self.everything = False
        """Whether all commands are allowed."""
        self.commands: set[str] = set()
        """The full names of those that are, unless all are."""
        self.began_with_all = False
        """Whether commands are allowed that nobody knows yet."""
        self.first_arguments: dict[str, dict[bytes, None]] = {}
        """Command → first arguments, in lower case, with which it is allowed all the same."""
        self._rules: dict[str, dict[str, tuple[int, bool]]] = {}
        """Command or category → what was said of it, and of its subcommands: when, and whether
        they are allowed. What is said of the whole replaces what was said of its parts."""
        self._count = 0

    def copy(self) -> Selector:
        other = copy(self)
        other.keys, other.channels = dict(self.keys), dict(self.channels)
        other.commands = set(self.commands)
        other.first_arguments = {name: dict(it) for name, it in self.first_arguments.items()}
        other._rules = {name: dict(it) for name, it in self._rules.items()}
        return other

    def apply(self, rule: bytes, table: CommandTable) -> None:
        """Change it as ``rule`` says. RuleError: nothing has happened."""
        text = rule.partition(b"\0")[0]
        match text.lower():
            case b"allkeys" | b"~*":
                self.all_keys, self.keys = True, {}
            case b"resetkeys":
                self.all_keys, self.keys = False, {}
            case b"allchannels" | b"&*":
                self.all_channels, self.channels = True, {}
            case b"resetchannels":
                self.all_channels, self.channels = False, {}
            case b"allcommands" | b"+@all":
                self._begin(everything=True)
            case b"nocommands" | b"-@all":
                self._begin(everything=False)
            case _:
                self._apply_pattern_or_command(rule, text, table)

    def _begin(self, *, everything: bool) -> None:
        self.everything = self.began_with_all = everything
        self.commands, self.first_arguments, self._rules = set(), {}, {}

    def allows(self, command: str) -> bool:
        """Whether it may be used, whatever its first argument."""
        return self.everything or command in self.commands

    def _apply_pattern_or_command(self, rule: bytes, text: bytes, table: CommandTable) -> None:
        match text[:1]:
            case b"~" | b"%":
                self._add_keys(rule)
            case b"&":
                self._add_channels(rule)
            case b"+" | b"-" if text[1:2] == b"@":
                self._apply_category(text, table)
            case b"+" if b"|" in text:
                self._allow_part(text[1:], table)
            case b"+" | b"-":
                command = table.named(text[1:])
                if command is None:
                    raise RuleError(Fault.UNKNOWN)
                self._change(command, text.startswith(b"+"), table)
                self._note(command.name, text.startswith(b"+"))
            case _:
                raise RuleError(Fault.SYNTAX)

    def _add_keys(self, rule: bytes) -> None:
        if self.all_keys:
            raise RuleError(Fault.AFTER_ALL_KEYS)
        head, _, pattern = rule.partition(b"~")
        uses = READ | WRITE if not head else 0
        for letter in head[1:]:
            use = _LETTERS.get(letter, 0)
            if not use or use & uses:
                raise RuleError(Fault.SYNTAX)
            uses |= use
        if not uses or has_blanks(pattern):
            raise RuleError(Fault.SYNTAX)
        self.keys[pattern] = self.keys.get(pattern, 0) | uses

    def _add_channels(self, rule: bytes) -> None:
        if self.all_channels:
            raise RuleError(Fault.AFTER_ALL_CHANNELS)
        if has_blanks(rule):
            raise RuleError(Fault.SYNTAX)
        self.channels[rule[1:]] = None

    def _apply_category(self, text: bytes, table: CommandTable) -> None:
        name, allow = text[2:].decode("utf-8", "replace").lower(), text.startswith(b"+")
        if name not in table.categories:
            raise RuleError(Fault.UNKNOWN)
        self._note("@" + name, allow)
        for command in table.all():
            if name in command.categories:
                self._change(command, allow, table)

    def _allow_part(self, text: bytes, table: CommandTable) -> None:
        """``command|subcommand``, or ``command|first-argument``."""
        whole, _, part = text.rpartition(b"|")
        command = table.named(whole)
        if command is None:
            raise RuleError(Fault.UNKNOWN)
        if "|" in command.name:
            raise RuleError(Fault.ARGUMENT_OF_SUBCOMMAND)
        if not part:
            raise RuleError(Fault.SYNTAX)
        if command.subcommands:
            subcommand = table.named(text)
            if subcommand is None:
                raise RuleError(Fault.UNKNOWN)
            self._change(subcommand, True, table)
        elif has_blanks(part) or b'"' in part or b"'" in part:
            raise RuleError(Fault.SYNTAX)  # the rules could not be read again
        else:
            self.first_arguments.setdefault(command.name, {})[part.lower()] = None
        self._note(text.decode("utf-8", "surrogateescape").lower(), True)

    def _change(self, command: KnownCommand, allow: bool, table: CommandTable) -> None:
        names = {command.name, *(one.name for one in command.subcommands.values())}
        if not allow:
            if self.everything:
                self.everything, self.commands = False, {one.name for one in table.all()}
            self.commands -= names
        elif not self.everything:
            self.commands |= names
        self.first_arguments.pop(command.name, None)

    def _note(self, rule: str, allow: bool) -> None:
        whole, bar, _ = rule.partition("|")
        self._count += 1
        if bar:
            said = self._rules.setdefault(whole, {})
            said.pop(rule, None)
        else:
            said = self._rules[whole] = {}
        said[rule] = (self._count, allow)

    # The rules again

    def command_rules(self) -> bytes:
        said = [
            (number, rule, allow)
            for rules in self._rules.values()
            for rule, (number, allow) in rules.items()
        ]
        words = ["+@all" if self.began_with_all else "-@all"]
        words += [("+" if allow else "-") + rule for _, rule, allow in sorted(said)]
        return " ".join(words).encode("utf-8", "surrogateescape")

    def key_rules(self) -> list[bytes]:
        if self.all_keys:
            return [b"~*"]
        return [_PREFIXES[uses] + pattern for pattern, uses in self.keys.items()]

    def channel_rules(self) -> list[bytes]:
        return [b"&*"] if self.all_channels else [b"&" + pattern for pattern in self.channels]

    def describe(self, *, quoted: bool = False) -> bytes:
        """The rules, ``quoted`` where they could not be split into words else."""
        keys, channels = self.key_rules(), self.channel_rules()
        if quoted:
            keys, channels = list(map(safe_word, keys)), list(map(safe_word, channels))
        reset = [] if self.all_channels else [b"resetchannels"]
        return b" ".join([*keys, *reset, *channels, self.command_rules()])


class Definition:
    """A user's rules and passwords."""

    __slots__ = (
        "_all_channels",
        "_described",
        "enabled",
        "no_password",
        "passwords",
        "sanitizes",
        "selectors",
    )

    def __init__(self, *, all_channels: bool = False) -> None:
        """As a new user is: off, and allowed nothing. ``all_channels``: what acl-pubsub-default
        says of a user, and a selector, of which no rule says it."""
        self._all_channels = all_channels
        self.enabled = self.no_password = False
        self.sanitizes = True
        """Whether RESTORE looks closely at what this user brings."""
        self.passwords: dict[bytes, None] = {}
        """Their SHA-256, in hexadecimal digits."""
        self.selectors = [Selector(all_channels=all_channels)]
        """The first one is the user's own; each allows what it allows by itself."""
        self._described: bytes | None = None

    @property
    def root(self) -> Selector:
        return self.selectors[0]

    @property
    def unrestricted(self) -> bool:
        root = self.root
        return root.everything and root.all_keys and root.all_channels

    def changed(
        self, rules: Iterable[bytes], table: CommandTable, *, all_channels: bool
    ) -> Definition:
        """A copy, with ``rules`` applied. RuleError, which names the wrong one."""
        other = copy(self)
        other._all_channels = all_channels
        other.passwords = dict(self.passwords)
        other.selectors = [selector.copy() for selector in self.selectors]
        other._described = None
        for rule in rules:
            try:
                other.apply(rule, table)
            except RuleError as error:
                error.rule = rule
                raise
        return other

    def with_password(self, password: bytes) -> Definition:
        """A copy with that password only; without any if it is empty."""
        other = copy(self)
        other.passwords = {hash_password(password): None} if password else {}
        other.no_password = not password
        other._described = None
        return other

    def apply(self, rule: bytes, table: CommandTable) -> None:
        """Change it as ``rule`` says; only while it is nobody's. RuleError."""
        if not rule:
            return
        match rule[:1]:
            case b">" | b"#":
                self.passwords[_hash_in(rule)] = None
                self.no_password = False
            case b"<" | b"!":
                try:
                    del self.passwords[_hash_in(rule)]
                except KeyError:
                    raise RuleError(Fault.NO_SUCH_PASSWORD) from None
            case b"(" if rule.endswith(b")"):
                self.selectors.append(self._selector(rule[1:-1], table))
            case _:
                self._apply_word(rule, table)

    def _apply_word(self, rule: bytes, table: CommandTable) -> None:
        match rule.partition(b"\0")[0].lower():
            case b"on":
                self.enabled = True
            case b"off":
                self.enabled = False
            case b"skip-sanitize-payload":
                self.sanitizes = False
            case b"sanitize-payload":
                self.sanitizes = True
            case b"nopass":
                self.no_password, self.passwords = True, {}
            case b"resetpass":
                self.no_password, self.passwords = False, {}
            case b"clearselectors":
                del self.selectors[1:]
            case b"reset":
                self.enabled = self.no_password = False
                self.sanitizes, self.passwords = True, {}
                self.selectors = [Selector(all_channels=self._all_channels)]
            case _:
                self.root.apply(rule, table)

    def _selector(self, text: bytes, table: CommandTable) -> Selector:
        selector = Selector(all_channels=self._all_channels)
        try:
            rules = split_words(text)
        except ValueError:
            rules = []  # as in Redis: it allows nothing then
        for rule in rules:
            selector.apply(rule, table)
        return selector

    # The rules again

    def flags(self) -> list[bytes]:
        return [
            b"on" if self.enabled else b"off",
            *([b"nopass"] if self.no_password else []),
            b"sanitize-payload" if self.sanitizes else b"skip-sanitize-payload",
        ]

    def describe(self) -> bytes:
        """The rules that make this definition from a new user's, as Redis shows them."""
        if self._described is None:
            self._described = b" ".join(self._words(quoted=False))
        return self._described

    def file_line(self) -> bytes:
        """As ``describe``, for a file that is split at its blanks."""
        return b" ".join(self._words(quoted=True))

    def config_line(self) -> bytes:
        """As ``describe``, for a file whose words may be quoted."""
        return b" ".join(map(safe_word, self._words(quoted=True)))

    def _words(self, *, quoted: bool) -> Iterator[bytes]:
        yield from self.flags()
        yield from (b"#" + one for one in self.passwords)
        yield from self.root.describe().split(b" ")
        for selector in self.selectors[1:]:
            yield b"(%b)" % selector.describe(quoted=quoted)


def _hash_in(rule: bytes) -> bytes:
    """The hash of the password that ``rule`` has, or says the hash of."""
    if rule[:1] in b"><":
        return hash_password(rule[1:])
    if len(rule) != 65 or not _HEXADECIMAL.issuperset(rule[1:]):
        raise RuleError(Fault.NO_HASH)
    return rule[1:]


def merged(rules: Iterable[bytes]) -> Iterator[bytes]:
    """``rules``, a selector that is spread over several of them being put together.
    UnmatchedError."""
    parts: list[bytes] = []
    began = 0
    for index, rule in enumerate(rules):
        if parts:
            parts.append(rule.partition(b"\0")[0])
        elif rule.startswith(b"(") and not rule.endswith(b")"):
            parts, began = [rule], index
            continue
        else:
            yield rule
            continue
        if rule.endswith(b")"):
            yield b" ".join(parts)
            parts = []
    if parts:
        raise UnmatchedError(began)


def default_definition() -> Definition:
    """The default user's, as long as nothing else is said."""
    made = Definition(all_channels=True)
    made.enabled = made.no_password = True
    root = made.root
    root.all_keys = root.everything = root.began_with_all = True
    return made
