"""Users and what they may do (ACL): who there is, who somebody is, and what follows from a change.

A ``User`` (session.py) stays the same object as long as there is one of that name; a change gives
it another definition, and ``Permits``, both of which never change themselves. Its sessions are told
to compile their gates anew. So it is seen by whichever request passes its gates next, in any
thread, and by each batch that begins after the change was answered. Knows no command: what rules
say of commands is looked up in the ``CommandTable`` that callers hand in.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Iterable

from tendis_py.config import Config
from tendis_py.config.rewrite import replace_file
from tendis_py.config.syntax import decode, encode
from tendis_py.errors import StorageError
from tendis_py.log import NOTICE
from tendis_py.services.acl.files import DEFAULT, FileError, configured_users, read_users
from tendis_py.services.acl.log import AclLog
from tendis_py.services.acl.permits import Permits, matcher
from tendis_py.services.acl.rules import (
    CommandTable,
    Definition,
    RuleError,
    UnmatchedError,
    default_definition,
    hash_password,
    merged,
)
from tendis_py.services.clients import Clients
from tendis_py.services.clock import Clock
from tendis_py.session import Session, User

log = logging.getLogger(__name__)

_BOTH = (
    "Configuring tendis-py with users defined in its configuration and at the same setting an ACL "
    "file path is invalid. This setup is very likely to lead to configuration errors and security "
    "holes, please define either an ACL file or declare users directly in your configuration, but "
    "not both."
)

_NO_USER_HASH = b"0" * 64


class ChangeError(Exception):
    """A change that was refused, all of it; the text is the reply's."""


class Acl:
    """Any thread may call any method."""

    def __init__(self, config: Config, clients: Clients, clock: Clock) -> None:
        self._config = config
        self._clients = clients
        self._lock = threading.RLock()
        self.log = AclLog(lambda: config.acllog_max_len, clock)
        self.default = User(DEFAULT, default_definition())
        self._users = {DEFAULT: self.default}
        self.is_open = True
        """Whether a new client is the default user without having to say a password."""
        self._follow_password()
        config.on_change("requirepass", self._follow_password)
        config.user_lines = self._config_lines

    # Who somebody is

    def find(self, name: bytes) -> User | None:
        return self._users.get(name)

    def all(self) -> list[User]:
        """In order of their names."""
        with self._lock:
            return [self._users[name] for name in sorted(self._users)]

    def authenticate(self, name: bytes, password: bytes) -> User | None:
        """The user of that name if that is the password; None for a wrong one, and for a user who
        is off. How long it takes tells nothing of a password that is right, nor of who exists."""
        user = self._users.get(name)
        definition = None if user is None else user.definition
        given = hash_password(password)
        known = False
        for one in _NO_USER_HASH, *(() if definition is None else definition.passwords):
            known |= hmac.compare_digest(given, one)
        if definition is None or not definition.enabled:
            return None
        return user if known or definition.no_password else None

    def become(self, session: Session, user: User) -> bool:
        """Have ``session`` act for ``user``, in the thread that runs its requests; False if there
        is no such user any more."""
        before, was_authenticated = session.user, session.authenticated
        session.user, session.authenticated = user, True
        if self._users.get(user.name) is not user:  # removed while its password was looked at
            session.user, session.authenticated = before, was_authenticated
            return False
        session.compile_gates()
        return True

    def admits(self, session: Session) -> bool:
        """Whether a client may run commands: it has authenticated, or need not."""
        return session.authenticated or self.is_open

    # Changes

    def set_user(
        self, name: bytes, rules: Iterable[bytes], table: CommandTable, me: Session | None = None
    ) -> None:
        """Apply ``rules`` to a user, who is made if need be; all or none. Whoever is subscribed to
        what is not allowed any more is disconnected, ``me`` once it has its reply. ChangeError."""
        rules = list(rules)
        all_channels = self._channels_by_default
        with self._lock:
            user = self._users.get(name)
            before = Definition(all_channels=all_channels) if user is None else user.definition
            try:
                after = before.changed(merged(rules), table, all_channels=all_channels)
            except UnmatchedError as error:
                rule = _shown(rules[error.index])
                raise ChangeError(
                    f"Unmatched parenthesis in acl selector starting at '{rule}'."
                ) from None
            except RuleError as error:
                rule = _shown(error.rule)
                raise ChangeError(f"Error in ACL SETUSER modifier '{rule}': {error}") from None
            if user is None:
                user = self._users[name] = User(name, after)
                user.permits = _permits(after, table)
            else:
                self._redefine(user, after, table, me)

    def remove_users(self, names: Iterable[bytes], me: Session) -> int:
        """How many of them there were; their clients are disconnected, ``me`` once it has its
        reply."""
        removed = set()
        with self._lock:
            for name in names:
                user = self._users.pop(name, None)
                if user is not None:
                    removed.add(user)
            for session in self._clients.all() if removed else ():
                if session.user in removed:
                    self._disconnect(session, me)
        return len(removed)

    def _redefine(
        self, user: User, after: Definition, table: CommandTable, me: Session | None = None
    ) -> None:
        before = user.definition
        user.permits = _permits(after, table)
        user.definition = after
        if user is self.default:
            self._look_whether_open()
        revoked = _revokes_channels(before, after)
        for session in self._clients.all():
            if session.user is user:
                session.recompile_soon()
                if revoked and not _may_stay_subscribed(session, after):
                    self._disconnect(session, me)

    def _disconnect(self, session: Session, me: Session | None = None) -> None:
        session.user, session.authenticated = self.default, False
        session.recompile_soon()
        if session is me:
            session.closing = True
        else:
            self._clients.kill(session)

    def check_subscriptions(self, session: Session) -> None:
        """Disconnect ``session`` if it has just subscribed to what was no longer allowed by then:
        who changed its user may not have seen it subscribed."""
        if session.user.permits is not None and not _may_stay_subscribed(
            session, session.user.definition
        ):
            self._disconnect(session, session)

    def _look_whether_open(self) -> None:
        definition = self.default.definition
        self.is_open = definition.no_password and definition.enabled

    def _follow_password(self) -> None:
        password = encode(self._config.requirepass)
        with self._lock:
            self.default.definition = self.default.definition.with_password(password)
            self._look_whether_open()

    @property
    def _channels_by_default(self) -> bool:
        return self._config.acl_pubsub_default == "allchannels"

    # Files

    @property
    def has_file(self) -> bool:
        return bool(self._config.aclfile)

    def start(self, table: CommandTable) -> None:
        """Make the users that the configuration names. StorageError or ConfigError when it can't be
        done as it says."""
        lines = self._config.users
        if lines and self.has_file:
            raise StorageError(_BOTH)
        found = configured_users(lines, table, all_channels=self._channels_by_default)
        with self._lock:
            for name, definition in found.items():
                if name == DEFAULT:
                    self._redefine(self.default, definition, table)
                else:
                    user = self._users[name] = User(name, definition)
                    user.permits = _permits(definition, table)
                if not definition.enabled:
                    log.log(
                        NOTICE,
                        "The user '%s' is disabled (there is no 'on' modifier in the user "
                        "description). Make sure this is not a configuration error.",
                        decode(name),
                    )
        if self.has_file:
            try:
                self.load(table)
            except ChangeError as error:
                raise StorageError(f"Aborting startup because of ACL errors: {error}") from None

    def load(self, table: CommandTable, me: Session | None = None) -> None:
        """Have the users that the ACL file defines, and no others but the default one. ChangeError:
        nothing has changed."""
        path = self._config.aclfile
        try:
            with open(path, "rb") as opened:
                data = opened.read()
        except OSError as error:
            raise ChangeError(
                f"Error loading ACLs, opening file '{path}': {error.strerror}"
            ) from None
        try:
            found = read_users(data, path, table, all_channels=self._channels_by_default)
        except FileError as error:
            raise ChangeError(str(error)) from None
        found.setdefault(DEFAULT, default_definition())
        with self._lock:
            gone = {user for name, user in self._users.items() if name not in found}
            for user in gone:
                del self._users[user.name]
            for name, definition in found.items():
                known = self._users.get(name)
                if known is not None:
                    self._redefine(known, definition, table, me)
                else:
                    new = User(name, definition)
                    new.permits = _permits(definition, table)
                    self._users[name] = new
            for session in self._clients.all() if gone else ():
                if session.user in gone:
                    self._disconnect(session, me)

    def save(self) -> None:
        """Write the users to the ACL file, wholly or not at all. OSError."""
        lines = [b"user %b %b\n" % (it.name, it.definition.file_line()) for it in self.all()]
        replace_file(self._config.aclfile, b"".join(lines))

    def _config_lines(self) -> list[str]:
        """What CONFIG REWRITE writes of the users: nothing if there is a file for that."""
        if self.has_file:
            return []
        return [decode(b"%b %b" % (it.name, it.definition.config_line())) for it in self.all()]


def _permits(definition: Definition, table: CommandTable) -> Permits | None:
    return None if definition.unrestricted else Permits(definition, table)


def _shown(rule: bytes) -> str:
    return decode(rule.partition(b"\0")[0])


def _channels(definition: Definition) -> dict[bytes, None] | None:
    """The patterns that some selector allows; None if one allows all channels."""
    found: dict[bytes, None] = {}
    for selector in definition.selectors:
        if selector.all_channels:
            return None
        found.update(selector.channels)
    return found


def _revokes_channels(before: Definition, after: Definition) -> bool:
    """Whether channels may have been allowed that are not any more, as far as patterns tell."""
    allowed, known = _channels(after), _channels(before)
    return allowed is not None and (known is None or not known.keys() <= allowed.keys())


def _may_stay_subscribed(session: Session, definition: Definition) -> bool:
    """Whether all that ``session`` is subscribed to is allowed."""
    subscriptions, allowed = session.subscriptions, _channels(definition)
    if subscriptions is None or allowed is None:
        return True
    matches = matcher(allowed)
    return all(pattern in allowed for pattern in list(subscriptions.patterns)) and all(
        matches(channel)
        for channel in (*list(subscriptions.channels), *list(subscriptions.shard_channels))
    )
