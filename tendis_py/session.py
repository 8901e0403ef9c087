"""What the server knows of one client: identity, protocol, database, state. No sockets.

Owned by the thread that runs the client's batch (one at a time) and read by any thread for CLIENT
LIST; every field is replaced whole, so a reader sees an old value or a new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

from tendis_py.resp.messages import Mailbox, Message
from tendis_py.resp.replies import ENCODERS, Encode, Payload
from tendis_py.resp.requests import Request

_ids = itertools.count(1)


class Outlet(Protocol):
    """An I/O thread, as far as those know it who have something to say to its connections."""

    def deliver(self, message: Message, peers: Sequence[Any]) -> None:
        """Send ``message`` to connections of this thread, in order with their replies; from any
        thread."""

    def answer(self, peer: Any, payload: Payload) -> None:
        """Send a connection the reply that it waits for, and let it go on; from any thread."""

    def run_again(self, peer: Any) -> None:
        """Run again what a connection waits with; from any thread."""


class Peer(Protocol):
    """The session's connection, as far as commands may know it."""

    @property
    def home(self) -> Outlet:
        """The I/O thread that serves it."""

    @property
    def input_bytes(self) -> int:
        """Bytes received that no executed request has used yet."""

    @property
    def output_bytes(self) -> int:
        """Bytes of replies that the socket has not taken yet."""

    @property
    def output_pieces(self) -> int:
        """In how many replies, or parts of one, those bytes are kept."""

    @property
    def outbox_since(self) -> int:
        """Since when there have been such (perf_counter_ns); of no meaning while there are none."""

    @property
    def thread(self) -> int:
        """The number of the I/O thread that serves it."""

    def close(self) -> None:
        """Have the connection closed soon; from any thread."""

    def abort(self) -> None:
        """As ``close``, and drop the replies that were not sent yet; from the thread that runs the
        session's batch."""


class Tracking:
    """How the keys are tracked that a client reads (CLIENT TRACKING), until it says otherwise."""

    __slots__ = (
        "broadcasts",
        "broken",
        "caching",
        "mode",
        "noloop",
        "prefixes",
        "redirect",
        "seen",
        "told",
        "written",
    )

    def __init__(
        self,
        *,
        broadcasts: bool = False,
        prefixes: frozenset[bytes] = frozenset(),
        mode: str = "",
        noloop: bool = False,
        redirect: int = 0,
    ) -> None:
        self.broadcasts = broadcasts
        """Whether it hears of all keys that begin with one of ``prefixes``, whoever reads them."""
        self.prefixes = prefixes
        self.mode = mode
        """``optin``, ``optout`` or none: what the next command does not, or does, unless CLIENT
        CACHING says so."""
        self.noloop = noloop
        self.redirect = redirect
        """The id of the client that is told instead; 0: itself."""
        self.caching = False
        """Whether CLIENT CACHING was said of the next command."""
        self.broken = False
        """Whether the client that is told instead was found to be gone."""
        self.written: set[bytes] = set()
        self.told: set[bytes] = set()
        self.seen = 0
        self.begin()

    def begin(self) -> None:
        """A request begins, and a unit of work: nothing is ``written`` yet. Of that ``told`` is
        what was then read, all having been told; so much of the undo list was ``seen``."""
        if self.seen:
            self.written.clear()
            self.told.clear()
            self.seen = 0


class User:
    """Whom sessions act for (services/acl). Each field is replaced whole, in any thread."""

    __slots__ = ("definition", "name", "permits")

    def __init__(self, name: bytes, definition: Any = None) -> None:
        self.name = name
        self.definition = definition
        """The rules that say what it may do."""
        self.permits: Any = None
        """Those compiled (``Permits``); None for a user of whom all is allowed."""

    def as_it_is(self) -> User:
        """One that stays so."""
        user = User(self.name, self.definition)
        user.permits = self.permits
        return user


UNRESTRICTED = User(b"default")
"""For sessions that have no server."""


class Transaction:
    """What a client has asked for since MULTI, and what EXEC needs to know of it beforehand."""

    __slots__ = ("apart", "arguments", "began_at", "failed", "is_slow", "may_write", "requests")

    def __init__(self, began_at: int = 0) -> None:
        self.began_at = began_at
        """How many bytes the client had sent by then."""
        self.requests: list[Request] = []
        self.arguments = 0
        """Of all requests."""
        self.failed = False
        """Whether a request was refused: EXEC runs nothing then."""
        self.is_slow = False
        """Whether one is for the slow lane, or must not be begun twice."""
        self.apart = False
        """Whether one may take as long as it likes (``Command.apart``)."""
        self.may_write = False


class Session:
    __slots__ = (
        "address",
        "authenticated",
        "blocked",
        "closing",
        "commands",
        "created",
        "database",
        "encoders",
        "fd",
        "gates",
        "id",
        "kind",
        "last_active",
        "last_command",
        "lib_name",
        "lib_version",
        "local_address",
        "mailbox",
        "name",
        "needs_all_keys",
        "net_in",
        "net_out",
        "no_evict",
        "no_touch",
        "only_queues",
        "outdated",
        "peer",
        "plain",
        "protocol",
        "received",
        "reply_mode",
        "screened",
        "stale",
        "subscriptions",
        "tracking",
        "transaction",
        "unix",
        "user",
        "watched",
    )

    def __init__(
        self,
        peer: Peer,
        *,
        address: str = "",
        local_address: str = "",
        fd: int = -1,
        unix: bool = False,
        authenticated: bool = True,
        user: User = UNRESTRICTED,
        now: float = 0.0,
    ) -> None:
        """``now`` in monotonic seconds."""
        self.id = next(_ids)
        self.peer = peer
        self.address = address
        self.local_address = local_address
        self.fd = fd
        self.unix = unix
        self.created = self.last_active = now
        self.received = 0
        """When the oldest request under way was read (perf_counter_ns)."""
        self.last_command = "NULL"
        self.commands = 0
        self.net_in = 0
        self.net_out = 0
        self.blocked = False
        """Whether its next request is held back (CLIENT PAUSE)."""
        self.closing = False
        """Set once the last reply is made: it is sent, and the connection closed."""
        self.lib_name = b""
        self.lib_version = b""
        self.reply_mode = "on"
        """Of CLIENT REPLY: on, off, skip (no reply to the next command) or skipping (nor to the
        one that is running)."""
        self.mailbox: Mailbox | None = None
        """For what it is told unasked, in order with its replies; see ``services/pushes.py``."""
        self.tracking: Tracking | None = None
        self.outdated = False
        """Whether its gates have to be compiled before its next request."""
        self.needs_all_keys = False
        """Whether its next request is known to use keys that it does not name."""
        self.reset(authenticated, user)

    def reset(self, authenticated: bool, user: User) -> None:
        """Back to the state of a new connection (RESET) of ``user``, but for what the client's
        library has said of itself."""
        self.name = b""
        self.user = user
        self.kind = "normal"
        """What sort of client it is: normal, pubsub or replica. Each has its output limit."""
        self.subscriptions: Any = None
        """What it is subscribed to (services/pubsub.py), None when that is nothing."""
        self.database = 0
        self.no_evict = False
        self.no_touch = False
        self.transaction: Transaction | None = None
        """Between MULTI and EXEC."""
        self.watched: dict[tuple[int, bytes], Any] = {}
        """Index of the database and key of what EXEC shall find unchanged (WATCH), with what there
        was (``Seen``, services/watches.py, where it is kept)."""
        self.stale = False
        """Whether some of that has changed."""
        if self.reply_mode != "skipping":
            self.reply_mode = "on"
        self.authenticated = authenticated
        self.use_protocol(2)
        self.compile_gates()

    def use_protocol(self, protocol: int) -> None:
        self.protocol = protocol
        self.encoders: dict[type, Encode] = ENCODERS[protocol]

    def begin_request(self) -> None:
        """A request is about to run; for sessions that are not ``plain``."""
        if self.reply_mode == "skip":
            self.reply_mode = "skipping"
        if self.tracking is not None:
            self.tracking.begin()

    def put_off_request(self) -> None:
        """It has not run after all, and comes again."""
        if self.reply_mode == "skipping":
            self.reply_mode = "skip"

    def end_request(self) -> bool:
        """It has run, or was refused: whether its reply is to be sent."""
        tracking = self.tracking
        if (
            tracking is not None
            and self.transaction is None
            and not self.last_command.startswith("client|")
        ):
            tracking.caching = False
        if self.reply_mode == "skipping":
            self.reply_mode = "on"
            self.compile_gates()
            return False
        return self.reply_mode == "on"

    def begin_transaction(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.compile_gates()

    def end_transaction(self) -> None:
        self.transaction = None
        self.compile_gates()

    @property
    def queued_bytes(self) -> int:
        """About how many bytes it has sent of what waits for EXEC."""
        transaction = self.transaction
        if transaction is None or not transaction.requests:
            return 0
        return self.net_in - transaction.began_at

    def compile_gates(self) -> None:
        """Fold the state into ``plain``: whether requests run without any gate. To be called when
        ``authenticated``, ``user``, ``reply_mode``, ``protocol``, ``transaction``, or ``mailbox``
        or ``subscriptions`` (from or to None) changes. ``gates`` are made anew when next needed.

        A plain session is told nothing after its replies (``Context.later``). ``only_queues``: the
        one gate there is queues for EXEC. ``screened``: the one there is asks what its user may
        do; requests that are permitted may run as those of a plain one."""
        while True:
            self.outdated = False
            self.gates: Any = None
            user = self.user
            permits = user.permits
            ordinary = (
                self.authenticated
                and self.reply_mode == "on"
                and self.subscriptions is None
                and self.mailbox is None
            )
            runs = ordinary and self.transaction is None
            self.plain = runs and permits is None
            self.screened = runs and permits is not None
            self.only_queues = ordinary and not runs and permits is None
            # Whoever has changed the user meanwhile may have come before this was written.
            if self.user is user and user.permits is permits:
                return

    def recompile_soon(self) -> None:
        """Its user has changed: have the gates compiled before the next request. In any thread,
        once ``user.permits`` is what it is to be."""
        self.outdated = True
        self.plain = self.only_queues = self.screened = False

    @property
    def monitors(self) -> bool:
        """Whether it is shown all requests (MONITOR)."""
        return self.mailbox is not None and self.mailbox.monitors
