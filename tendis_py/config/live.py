"""The configuration of a running server: read as attributes, changed by CONFIG SET.

Role: CONFIG GET, CONFIG SET and CONFIG REWRITE on the settings, and telling who depends on them.
May import: the rest of the configuration but the command line; globs, reply errors.
Does not know: RESP, commands, or what a changed setting makes others do.

Reading an attribute is atomic and takes no lock; changes are made one at a time.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tendis_py.config.directive import Directive
from tendis_py.config.rewrite import replace_file, rewrite_text
from tendis_py.config.settings import BY_NAME, DIRECTIVES, Settings, find
from tendis_py.config.syntax import BAD_DIRECTIVE, Line, decode, encode
from tendis_py.config.without_effect import WITHOUT_EFFECT
from tendis_py.errors import ReplyError
from tendis_py.glob import compile_glob

_log = logging.getLogger(__name__)

_DEPRECATED = frozenset(
    (
        "io-threads-do-reads",
        "list-max-ziplist-entries",
        "list-max-ziplist-value",
        "lua-replicate-commands",
    )
)
"""What files of older versions may still say; Redis passes over it, too."""


class ConfigSetError(ReplyError):
    """CONFIG SET was refused, and nothing has changed."""


class ConfigRewriteError(ReplyError):
    """CONFIG REWRITE was refused, and the file is as it was."""


class Config(Settings):
    """All settings, each an attribute, with what may be done to them at runtime.

    ``config_file`` is the absolute path of the file the server was started from, or None.
    """

    __slots__ = (
        "_callbacks",
        "_lock",
        "_mentioned",
        "_unreported",
        "config_file",
        "user_lines",
        "users",
    )

    def __init__(self, config_file: str | None = None) -> None:
        super().__init__()
        self.config_file = config_file
        self._callbacks: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._mentioned: set[str] = set()
        """Directives without effect that somebody has set to other than their default."""
        self._unreported: list[str] = []
        """Those of them that the log does not name yet."""
        self.users: list[Line] = []
        """Where users are defined: what the lines mean is for whoever knows the commands."""
        self.user_lines: Callable[[], Sequence[str]] = tuple
        """What ``rewrite`` is to write of the users, set by whoever has them."""

    def define_user(self, line: Line) -> None:
        """Note ``user NAME RULE …``. Raises ValueError with the reason."""
        if len(line.words) < 2:
            raise ValueError(BAD_DIRECTIVE)
        self.users.append(line)

    def assign(self, words: list[str]) -> None:
        """Apply one line of a configuration file (name first) that defines no user, before the
        server runs.

        Immutable settings may be given, and no one is told. Raises ValueError with the reason.
        """
        if words[0].lower() in _DEPRECATED and len(words) == 2:
            return
        found = find(words[0])
        if found is None:
            raise ValueError(BAD_DIRECTIVE)
        directive, leading = found
        current = getattr(self, directive.attribute)
        value = directive.kind.parse([*leading, *words[1:]], current)
        setattr(self, directive.attribute, value)
        self._mention(directive)

    def report_without_effect(self) -> None:
        """Say in the log which settings have been made that change nothing, each once."""
        names, self._unreported = self._unreported, []
        if names:
            _log.warning("accepted, but without effect in tendis-py: %s", ", ".join(names))

    def get(self, patterns: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return name → value of every directive or alias that a pattern matches, in any case.

        A pattern without wildcards that names a directive is answered under its own spelling.
        """
        known = {
            encode(name): encode(text)
            for directive in DIRECTIVES
            for name, text in directive.values(getattr(self, directive.attribute))
        }
        spelling: dict[bytes, bytes] = {}
        for pattern in patterns:
            if any(wildcard in pattern for wildcard in (b"*", b"?", b"[")):
                for name in filter(compile_glob(pattern, ignore_case=True), known):
                    spelling.setdefault(name, name)
            elif pattern.lower() in known:
                spelling.setdefault(pattern.lower(), pattern)
        return {shown: known[name] for name, shown in spelling.items()}

    def on_change(self, name: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever CONFIG SET has changed the directive ``name``.

        It finds the new value in place and runs in the thread of the client who changed it. It may
        refuse by raising ValueError(reason), having changed nothing; then all values of that
        CONFIG SET go back, and callbacks that had run are called again with the old values in
        place. It must not call `set` or `rewrite`. A family is named as a whole: ``rocksdb``.
        """
        self._callbacks[BY_NAME[name].attribute].append(callback)

    def set(self, pairs: list[tuple[bytes, bytes]], *, may_set_protected: bool = False) -> None:
        """Change several settings, all or none. Raises ConfigSetError with Redis' reply.

        ``may_set_protected``: whether ``enable-protected-configs`` is for who asks.
        """
        targets = _targets(pairs, may_set_protected)
        with self._lock:
            after: dict[str, Any] = {}
            names: dict[str, str] = {}
            for (directive, leading, name), (_, value) in zip(targets, pairs, strict=True):
                attribute = directive.attribute
                current = after.get(attribute, getattr(self, attribute))
                try:
                    after[attribute] = directive.kind.parse([*leading, decode(value)], current)
                except ValueError as error:
                    raise _refusal(name, str(error)) from None
                names[attribute] = name
            self._apply(after, names)
            for directive, _, _ in targets:
                self._mention(directive)
            self.report_without_effect()

    def rewrite(self, *, everything: bool = False) -> None:
        """Bring the configuration file up to date; with ``everything`` it names what is at its
        default, too. Raises ConfigRewriteError."""
        if self.config_file is None:
            raise ConfigRewriteError("ERR The server is running without a config file")
        with self._lock:
            try:
                old = _content(self.config_file)
                users = self.user_lines()
                new = rewrite_text(old, self, users, everything=everything)
                replace_file(self.config_file, new)
            except OSError as error:
                raise ConfigRewriteError(f"ERR Rewriting config file: {error.strerror}") from error

    def _apply(self, after: dict[str, Any], names: dict[str, str]) -> None:
        before = {attribute: getattr(self, attribute) for attribute in after}
        self._assign_all(after)
        told: list[Callable[[], None]] = []
        for attribute, value in after.items():
            if value == before[attribute]:
                continue
            for callback in self._callbacks[attribute]:
                try:
                    callback()
                except ValueError as error:
                    self._assign_all(before)
                    _tell_again(told)
                    raise _refusal(names[attribute], str(error)) from error
                told.append(callback)

    def _mention(self, directive: Directive) -> None:
        if directive.effect or directive.name in self._mentioned:
            return
        if getattr(self, directive.attribute) != WITHOUT_EFFECT[directive]:
            self._mentioned.add(directive.name)
            self._unreported.append(directive.name)

    def _assign_all(self, values: dict[str, Any]) -> None:
        for attribute, value in values.items():
            setattr(self, attribute, value)


def _targets(
    pairs: list[tuple[bytes, bytes]], may_set_protected: bool
) -> list[tuple[Directive, tuple[str, ...], str]]:
    """Return (directive, words its name gives, name as shown) of each pair, or refuse them."""
    targets = []
    seen = set()
    for raw, _ in pairs:
        name = decode(raw)
        found = find(name)
        if found is None:
            raise ConfigSetError(
                f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
            )
        directive, leading = found
        if directive.protected and not may_set_protected:
            raise _refusal(name, "can't set protected config")
        if not directive.runtime:
            raise _refusal(name, "can't set immutable config")
        if name.lower() in seen:
            raise _refusal(name, "duplicate parameter")
        seen.add(name.lower())
        targets.append((directive, leading, name))
    return targets


def _refusal(name: str, reason: str) -> ConfigSetError:
    return ConfigSetError(
        f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    )


def _tell_again(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except ValueError as error:
            _log.warning("a setting could not go back to its old value: %s", error)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        return b""
