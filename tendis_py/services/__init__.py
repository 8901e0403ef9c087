"""State that all connections share. Imports neither trio nor sockets, and no commands."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from tendis_py.config import Config
from tendis_py.services.acl import Acl
from tendis_py.services.clients import Clients
from tendis_py.services.clock import REAL_CLOCK, Clock
from tendis_py.services.cross_protocol import CrossProtocolGuard
from tendis_py.services.disk import Disk
from tendis_py.services.figures import Figures
from tendis_py.services.functions import open_catalogue
from tendis_py.services.global_gates import GlobalGates
from tendis_py.services.holdings import HoldingsSampler
from tendis_py.services.hotkeys import HotKeys
from tendis_py.services.key_sampler import KeySampler
from tendis_py.services.latency import LatencyMonitor
from tendis_py.services.links import Links
from tendis_py.services.memory import Memory
from tendis_py.services.monitors import Monitors
from tendis_py.services.notifications import Notifications
from tendis_py.services.observation import UnderWay
from tendis_py.services.observatory import Observatory
from tendis_py.services.pause import Pause
from tendis_py.services.pubsub import PubSub
from tendis_py.services.rates import Rates
from tendis_py.services.saving import Saving
from tendis_py.services.scripts import Scripts
from tendis_py.services.settings import follow
from tendis_py.services.slowlog import Slowlog
from tendis_py.services.stats import Stats
from tendis_py.services.tracing import Tracing
from tendis_py.services.tracking import KeyTracking
from tendis_py.services.waiters import Waiters
from tendis_py.services.watches import Watches
from tendis_py.storage.engine import Engine
from tendis_py.storage.key_sizes import KeySizes
from tendis_py.storage.keyspace import Keyspace

Observer = Callable[[Any, Any, list[bytes], int, Any], None]
"""Called in the executing thread with its Context, the Command, the request, the mark of the undo
list from which on it has written, and the reply, once that is encoded; not after an error. The unit
of work has not ended."""


Witness = Callable[[Any, Any, list[bytes], bool], None]
"""As ``Observer``, once it has run or failed; whether it waits, and has not run."""


class Services:
    """One per server; handlers reach it as ``ctx.services``."""

    def __init__(self, config: Config, keyspace: Keyspace, clock: Clock = REAL_CLOCK) -> None:
        self.config = config
        self.keyspace = keyspace
        self.clock = clock
        open_catalogue(keyspace)
        self.clients = Clients(lambda: config.maxclients)
        self.acl = Acl(config, self.clients, clock)
        self.pubsub = PubSub(self.clients)
        self.scripts = Scripts()
        self.global_gates = GlobalGates()
        self.pause = Pause(self.global_gates, clock)
        self.disk = Disk(self.global_gates)
        keyspace.may_expire = lambda: not (self.pause.remaining or self.disk.failure)
        self.observers: tuple[Observer, ...] = ()
        """Who looks at each command that ``Dispatcher.call`` has run: replaced whole, by
        ``set_observer``. For those who need it of all sessions, with a reason of ``global_gates``
        that has all come by there."""
        self.witnesses: tuple[Witness, ...] = ()
        """As ``observers``, but told of commands that have failed, or wait, too; see ``attend``."""
        self._observers_lock = threading.Lock()
        self.watches = Watches(keyspace.interest)
        self.waiters = Waiters(keyspace.interest)
        self.clients.on_leave += [self.watches.unwatch, self.waiters.leave]
        self.monitors = Monitors(self.clients, self.global_gates, self.attend, clock)
        self.tracking = KeyTracking(
            self.clients,
            keyspace.interest,
            self.attend,
            lambda: config.tracking_table_max_keys,
        )
        self.cross_protocol = CrossProtocolGuard(clock.monotonic)
        self.notifications = Notifications(keyspace, self.pubsub)
        self.slowlog = Slowlog(config.slowlog_log_slower_than, config.slowlog_max_len, clock)
        self.latency = LatencyMonitor(config.latency_monitor_threshold, clock)
        self.links = Links(clock.monotonic)
        self.clients.on_kill.append(self.links.abandon)
        self.hotkeys = HotKeys(clock)
        self.key_sampler = KeySampler()
        self.under_way: list[Callable[[], UnderWay | None]] = []
        """Ask each executing thread what it does now."""
        self.tracing = Tracing()
        self.started = clock.now_seconds()
        """Unix time, in seconds."""
        self.stats = Stats(self.clients)
        self.figures = Figures(lambda: {**self.topology(), "engine": _stalls(keyspace.engine)})
        self.rates = Rates(self.stats, self.turns)
        self.saving = Saving(keyspace.engine, self.stats.changes, clock)
        self.active_expiry = True
        """Whether keys are swept that have expired and nobody asks for."""
        self.takes_any_checksum = False
        """Whether RESTORE takes payloads whose checksum is wrong (DEBUG, for tests)."""
        self.key_sizes = KeySizes()
        self.holdings = HoldingsSampler(keyspace)
        self.memory = Memory(keyspace, self.stats, self.holdings, clock)
        self.run_id = os.urandom(20).hex()
        self.change_replication_id()
        self.port = config.port
        """The TCP port that is listened on: the one the system chose where the setting is 0."""
        self.topology: Callable[[], dict[str, Any]] = dict
        """Figures of the running stages, name → ``statistics()`` record. Set by the server."""
        self.all_turns: Callable[[], int] = int
        """How many turns the reactors have made since the start. Set by the server."""
        self._turns_before = 0
        self.observatory = Observatory(self)
        self.reset_peaks: Callable[[], None] = _nothing
        """Have the queues forget what they held at the most. Set by the server."""
        self.shutdown: Callable[..., None] = _no_server
        """Ask the server to stop. Set by the server."""
        follow(self)

    def change_replication_id(self) -> None:
        """Be another history of data than before."""
        self.replication_id = os.urandom(20).hex()

    def set_observer(self, observer: Observer, wants: bool) -> None:
        """Whether ``observer`` looks from now on. In any thread."""
        with self._observers_lock:
            others = tuple(one for one in self.observers if one != observer)
            self.observers = (*others, observer) if wants else others

    def attend(self, witness: Witness, wants: bool) -> None:
        """Whether ``witness`` is told of commands from now on. In any thread."""
        with self._observers_lock:
            others = tuple(one for one in self.witnesses if one != witness)
            self.witnesses = (*others, witness) if wants else others

    def turns(self) -> int:
        """How many turns the reactors have made."""
        return self.all_turns() - self._turns_before

    def reset_statistics(self) -> None:
        """Count from zero again (CONFIG RESETSTAT)."""
        self.stats.reset()
        self.reset_peaks()
        self.figures.reset()
        self._turns_before = self.all_turns()
        self.rates.reset()
        self.key_sampler.reset()
        self.saving.reset()
        self.observatory.reset()


def _stalls(engine: Engine) -> dict[str, Any]:
    return {"stalls": engine.stalls, "stalled_seconds": engine.stalled_seconds}


def _nothing() -> None:
    """There is nothing to forget."""


def _no_server() -> None:
    raise RuntimeError("no server runs on these services")
