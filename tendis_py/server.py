"""The server: wires the stages of a threading model, runs them, and takes them down in order.

``serve`` is for embedding in a trio program; ``run`` is what the command line calls.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import trio

from tendis_py.commands.registry import REGISTRY
from tendis_py.config import Config, default_memtable_size
from tendis_py.errors import CANT_BIND, CANT_LISTEN, StorageError, no_executors, too_many_clients
from tendis_py.http.dashboard import Dashboard
from tendis_py.maintenance import Maintenance
from tendis_py.pidfile import PidFile
from tendis_py.services import Services
from tendis_py.services.clock import REAL_CLOCK, Clock
from tendis_py.stages.accept import Doorkeeper, deal, stop_dealing
from tendis_py.stages.apart import ApartThreads
from tendis_py.stages.doors import Doors
from tendis_py.stages.execute import Executor, Locking
from tendis_py.stages.listening import ListenError
from tendis_py.stages.outbound import Outbound, Resolver
from tendis_py.stages.pool import ExecutorPool
from tendis_py.stages.reactor import Reactor, Submission
from tendis_py.stages.work import Job, WorkQueue
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction
from tendis_py.threading_model import MODELS, Listening
from tendis_py.types.hash.fields import remove_due

if TYPE_CHECKING:
    from tendis_py.traces import Collector

log = logging.getLogger(__name__)

_SPARE_FDS = 512
"""File descriptors for RocksDB and the server itself, on top of maxclients."""


class Server:
    """A running server. Made by ``serve``; ``services`` and ``listening`` are for its users."""

    def __init__(
        self,
        config: Config,
        *,
        port: int | None = None,
        dashboard_port: int | None = None,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        """The data folder is opened and every address listened on before this returns; clients
        wait until ``run``. ``port`` overrides the setting; 0 has the system choose one (see
        ``self.port``), and so for ``dashboard_port`` (``self.dashboard.port``). StorageError, also
        as ListenError, when either can't be, or when there is no exporter for ``otel-endpoint``."""
        self.config = config
        self._collector = _collector(config.otel_endpoint)
        self.model = MODELS[config.threading_model]
        engine = Engine(
            Path(config.dir) / "tendis-data",
            block_cache_bytes=config.block_cache_size,
            memtable_bytes=default_memtable_size(),
            options=config.rocksdb,
        )
        try:
            self.keyspace = Keyspace(
                engine,
                databases=config.databases,
                cache_bytes=config.cache_size,
                limits=config,
                now=clock.now_seconds(),
            )
            in_reactors = self.model.listening is Listening.REACTORS
            acceptors = self.model.reactor_count(config.io_threads) if in_reactors else 1
            self.doors = Doors(config, port=port, acceptors=acceptors)
        except BaseException:
            engine.close()
            raise
        self.services = Services(config, self.keyspace, clock)
        try:
            self.services.acl.start(REGISTRY)
        except BaseException:
            self.doors.close()
            engine.close()
            raise
        self.services.topology = self.statistics
        self.services.reset_peaks = self._reset_peaks
        self.services.memory.queued = self._queued_bytes
        self.services.all_turns = lambda: sum(reactor.turns for reactor in self.reactors)
        self.services.shutdown = self.shutdown
        self.services.links.new = partial(Outbound, Resolver())
        self.services.port = self.doors.port
        try:
            self.dashboard = Dashboard(self.services, port=dashboard_port)
        except BaseException:
            self.doors.close()
            engine.close()
            raise
        self._drain_seconds: float | None = None
        self.stopping = trio.Event()
        self._build_stages()
        self._follow_settings()
        self.maintenance = Maintenance(self.services, self.do_job, remove_due)

    def _build_stages(self) -> None:
        model, config, services = self.model, self.config, self.services
        reactors = model.reactor_count(config.io_threads)
        executors = model.executor_count(config.executor_threads)
        alone = reactors + executors == 1 or (
            model.submission is Submission.QUEUE and executors == 1
        )
        locking = Locking.NONE if alone else Locking.KEYS
        self.apart = ApartThreads(partial(_new_apart, services))
        self.pools: list[ExecutorPool] = []
        self.queue: WorkQueue | None = None
        self.slow_queue: WorkQueue | None = None
        if executors:
            self.queue = WorkQueue(
                config.work_queue_max_requests, config.work_queue_max_bytes, self._on_space
            )
            if model.slow_lane:
                self.slow_queue = WorkQueue(
                    config.work_queue_max_requests, config.work_queue_max_bytes
                )
                slow = Executor(services, locking=locking, name="slow")
                slow.tx.pace.rests = True
                self.pools.append(ExecutorPool(self.slow_queue, [slow]))
            workers = [
                Executor(
                    services,
                    locking=locking,
                    has_slow_lane=model.slow_lane,
                    name=f"executor-{index}",
                )
                for index in range(executors)
            ]
            self.pools.append(ExecutorPool(self.queue, workers, rounds=model.rounds))
        self.reactors = [
            Reactor(
                services,
                Executor(
                    services,
                    locking=locking,
                    has_slow_lane=model.slow_lane,
                    name=f"reactor-{index}",
                ),
                submission=model.submission,
                queue=self.queue,
                slow_queue=self.slow_queue,
                number=index,
            )
            for index in range(reactors)
        ]
        for reactor in self.reactors:
            reactor.executor.apart = self.apart.take
        for pool in self.pools:
            for executor in pool.executors:
                executor.apart = self.apart.take

    def _follow_settings(self) -> None:
        """What CONFIG SET has to change in the stages, besides the setting."""
        config = self.config

        def bound_queues() -> None:
            for queue in (self.queue, self.slow_queue):
                if queue is not None:
                    queue.max_requests = config.work_queue_max_requests
                    queue.max_bytes = config.work_queue_max_bytes

        def hand_off() -> None:
            always = config.work_queue_handoff == "always"
            if always and self.queue is None:
                raise ValueError(no_executors(self.model.name))
            for reactor in self.reactors:
                reactor.hand_off(always=always)

        def bound_arguments() -> None:
            for reactor in self.reactors:
                for connection in list(reactor.connections.values()):
                    connection.parser.max_bulk = config.proto_max_bulk_len

        def find_descriptors() -> None:
            possible = raise_fd_limit(config.maxclients)
            if possible < config.maxclients:
                raise ValueError(too_many_clients(possible))

        def listen_elsewhere(complaint: str) -> None:
            try:
                self.doors.follow_settings()
            except ListenError as error:
                log.warning("%s", error)
                raise ValueError(complaint) from None
            self.services.port = self.doors.port

        def show_elsewhere() -> None:
            try:
                self.dashboard.follow_settings()
            except ListenError as error:
                log.warning("%s", error)
                raise ValueError(str(error)) from None

        config.on_change("dashboard-port", show_elsewhere)
        config.on_change("dashboard-bind", show_elsewhere)
        try:
            hand_off()
        except ValueError as error:
            log.warning("work-queue-handoff has no effect: %s", error)
        config.on_change("work-queue-handoff", hand_off)
        config.on_change("port", partial(listen_elsewhere, CANT_LISTEN))
        config.on_change("bind", partial(listen_elsewhere, CANT_BIND))
        config.on_change("work-queue-max-requests", bound_queues)
        config.on_change("work-queue-max-bytes", bound_queues)
        config.on_change("proto-max-bulk-len", bound_arguments)
        config.on_change("maxclients", find_descriptors)

    @property
    def port(self) -> int:
        """The TCP port, 0 when there is none."""
        return self.services.port

    @property
    def listening(self) -> list[str]:
        """Addresses and paths that are listened on."""
        return self.doors.addresses

    def shutdown(self, *, now: bool = False) -> None:
        """Stop accepting, finish what is under way, and end; from any thread. ``now``: do not wait
        for clients to take their replies."""
        if now:
            self._drain_seconds = 0.0
        self._call_soon(self.stopping.set)

    def _reset_peaks(self) -> None:
        for queue in (self.queue, self.slow_queue):
            if queue is not None:
                queue.reset_peaks()
        for reactor in self.reactors:
            reactor.reset_peaks()
        self.keyspace.locks.reset_peak()

    def _queued_bytes(self) -> int:
        return sum(queue.bytes for queue in (self.queue, self.slow_queue) if queue is not None)

    def statistics(self) -> dict[str, Any]:
        """``statistics()`` of every stage, by name; values are plain numbers."""
        figures: dict[str, Any] = {
            reactor.name: _plain(reactor.statistics()) for reactor in self.reactors
        }
        if self.queue is not None:
            figures["work_queue"] = _plain(self.queue.statistics())
        if self.slow_queue is not None:
            figures["slow_queue"] = _plain(self.slow_queue.statistics())
        figures["locks"] = _plain(self.keyspace.locks.statistics())
        figures["cache"] = _plain(self.keyspace.cache.statistics())
        return figures

    # Running

    @asynccontextmanager
    async def _tracing(self) -> AsyncIterator[None]:
        """For a block, requests are traced as the settings say."""
        if self._collector is None:
            yield
            return
        from tendis_py.traces import Traces

        tracing, config = self.services.tracing, self.config
        traces = Traces(
            self._collector,
            {
                "service.instance.id": self.services.run_id,
                "server.port": self.port,
                "tendis_py.threading_model": self.model.name,
            },
        )
        tracing.begin(traces, config.otel_sample_ratio)
        try:
            yield
        finally:
            tracing.end()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(traces.stop)

    async def run(self, *, task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until ``shutdown`` or cancelled; the data folder is closed on return."""
        self._token = trio.lowlevel.current_trio_token()
        pidfile = PidFile(self.config.pidfile)
        forget_me = self.services.clock.on_move(self._look_around)
        try:
            pidfile.write()
            async with self._tracing(), trio.open_nursery() as threads:
                for pool in self.pools:
                    pool.start()
                for reactor in self.reactors:
                    threads.start_soon(self._run_reactor, reactor)
                try:
                    async with trio.open_nursery() as nursery:
                        self._listen(nursery)
                        nursery.start_soon(self.maintenance.run)
                        self.dashboard.start()
                        task_status.started(self)
                        await self.stopping.wait()
                        self.doors.stop()
                        nursery.cancel_scope.cancel()
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(self.dashboard.stop)
                        await self._drain()
        finally:
            forget_me()
            with trio.CancelScope(shield=True):
                pidfile.remove()
                self.doors.close()
                try:
                    await trio.to_thread.run_sync(self.services.saving.finish)
                finally:
                    await trio.to_thread.run_sync(self.keyspace.engine.close)

    def _look_around(self) -> None:
        """The clock was moved: wake who waits for a moment; from any thread."""
        for reactor in self.reactors:
            reactor.call_soon(_wake_up)
        self._call_soon(self.maintenance.look_around)

    @staticmethod
    async def _run_reactor(reactor: Reactor) -> None:
        def thread() -> None:
            threading.current_thread().name = reactor.name
            trio.run(reactor.run)

        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread, limiter=trio.CapacityLimiter(1))

    def _listen(self, nursery: trio.Nursery) -> None:
        doorkeeper = Doorkeeper(self.services)
        if self.model.listening is Listening.REACTORS:
            self._listen_in_reactors(doorkeeper)
            return
        if self.model.submission is Submission.INLINE:  # memcached deals in turn
            turns = itertools.cycle(self.reactors)
            choose: Callable[[], Reactor] = lambda: next(turns)  # noqa: E731
        else:
            choose = self._least_connections

        def begin(listener: socket.socket) -> None:
            with contextlib.suppress(RuntimeError):  # the nursery is closed: the server ends
                nursery.start_soon(deal, listener, doorkeeper, choose)

        self.doors.start(
            lambda _, listener: self._call_soon(partial(begin, listener)),
            lambda _, listener: self._call_soon(partial(stop_dealing, listener)),
        )

    def _least_connections(self) -> Reactor:
        return min(self.reactors, key=lambda reactor: len(reactor.connections))

    def _listen_in_reactors(self, doorkeeper: Doorkeeper) -> None:
        def accept(index: int, listener: socket.socket) -> None:
            reactor = self.reactors[index]
            reactor.call_soon(_listener_for(reactor, listener, doorkeeper))

        def ignore(index: int, listener: socket.socket) -> None:
            reactor = self.reactors[index]
            reactor.call_soon(partial(reactor.ignore, listener))

        self.doors.start(accept, ignore)

    def _call_soon(self, call: Callable[[], None]) -> None:
        """Run ``call`` in trio's thread; from any thread."""
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(call)

    def _on_space(self) -> None:
        for reactor in self.reactors:
            reactor.space()

    async def _drain(self) -> None:
        """Let requests under way finish, within shutdown-timeout; then end all threads."""
        for reactor in self.reactors:
            reactor.call_soon(reactor.stop_listening)
        seconds = self._drain_seconds
        with trio.move_on_after(self.config.shutdown_timeout if seconds is None else seconds):
            while any(reactor.unfinished for reactor in self.reactors):
                await trio.sleep(0.01)
        self.services.links.close()
        self.services.scripts.abandon_all()
        for pool in self.pools:
            await trio.to_thread.run_sync(pool.stop)
        await trio.to_thread.run_sync(self.apart.stop)
        for reactor in self.reactors:
            reactor.stop()

    async def do_job(self, work: Callable[[Transaction], None], keys: set[bytes] | None) -> bool:
        """Do background work the way requests go; whether it is committed now."""
        done = trio.Event()
        errors: list[BaseException | None] = []

        def finished(error: BaseException | None) -> None:
            errors.append(error)
            self._call_soon(done.set)

        job = Job(work, keys, finished)
        if self.queue is not None:
            self.queue.force(job)
        else:
            self.reactors[0].submit_job(job)
        await done.wait()
        return errors == [None]


def _new_apart(services: Services, name: str) -> Executor:
    executor = Executor(services, locking=Locking.KEYS, name=name)
    executor.tx.pace.rests = True
    return executor


def _wake_up() -> None:
    """Nothing more: a reactor that turns looks at the clock."""


def _collector(endpoint: str) -> Collector | None:
    """What sends traces to ``endpoint``, if there is one."""
    if not endpoint:
        return None
    try:
        from tendis_py.traces import Collector
    except ModuleNotFoundError as error:
        raise StorageError(
            f"otel-endpoint needs {error.name}, which is not installed: "
            "pip install 'tendis-py[otel]'"
        ) from None
    return Collector(endpoint)


def _listener_for(
    reactor: Reactor, listener: socket.socket, doorkeeper: Doorkeeper
) -> Callable[[], None]:
    def accepted(sock: socket.socket) -> None:
        now = perf_counter_ns()
        if doorkeeper.admit(sock):
            reactor.adopt(sock, now)

    return lambda: reactor.listen(listener, accepted)


@asynccontextmanager
async def serve(
    config: Config | None = None,
    *,
    port: int | None = None,
    dashboard_port: int | None = None,
    clock: Clock = REAL_CLOCK,
) -> AsyncIterator[Server]:
    """Run a server inside a trio program: ``async with serve(config, port=0) as server: …``.

    With port 0 the system chooses a free one: ``server.port``, and so for ``dashboard_port``:
    ``server.dashboard.port``. Leaving the block shuts the server
    down in order. StorageError (also as ListenError) when the data folder or an address can't be
    used. That, what the block raises, and what ends the server arrive as they are, in no group.
    A test may hand in a ``ManualClock`` (services/clock.py) and move it instead of sleeping.
    """
    server = Server(config or Config(), port=port, dashboard_port=dashboard_port, clock=clock)
    raised: BaseException | None = None
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            try:
                yield server
            except BaseException as error:
                # Cancelled, or a group with some in it, may be the nursery's own, which then has
                # to see it: the server has failed.
                if isinstance(error, trio.Cancelled) or nursery.cancel_scope.cancel_called:
                    raise
                raised = error
            finally:
                server.shutdown()
    except BaseException as error:
        failure = error
    if failure is not None and _should_prevail(failure, raised):
        raise _single(failure)
    if raised is not None:
        raise raised


def _should_prevail(failure: BaseException, raised: BaseException | None) -> bool:
    """Whether how the server ended is more to the point than what the block ``raised``; if not, it
    is logged unless it was only cancelled."""
    if raised is None or isinstance(_single(failure), (KeyboardInterrupt, SystemExit)):
        return True
    if not isinstance(_single(failure), trio.Cancelled):
        log.error("the server has failed, too", exc_info=failure)
    return False


def _single(failure: BaseException) -> BaseException:
    """What a group of exceptions comes down to: an interrupt, or the only one in it that is not a
    Cancelled, or the only one at all; else the group."""
    found = list(leaves(failure))
    for leaf in found:
        if isinstance(leaf, (KeyboardInterrupt, SystemExit)):
            return leaf
    errors = [leaf for leaf in found if not isinstance(leaf, trio.Cancelled)]
    if not errors:
        return found[0]
    return errors[0] if len(errors) == 1 else failure


def leaves(failure: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group and in those within it; ``failure`` itself where it is none."""
    if isinstance(failure, BaseExceptionGroup):
        for part in failure.exceptions:
            yield from leaves(part)
    else:
        yield failure


def raise_fd_limit(maxclients: int) -> int:
    """Ask for enough file descriptors; the number of clients they are enough for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = maxclients + _SPARE_FDS
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(1, min(maxclients, soft - _SPARE_FDS))


def _plain(record: Any) -> dict[str, Any]:
    """A slotted dataclass as a dictionary, records in it too (``asdict`` copies every number)."""
    found = {name: getattr(record, name) for name in record.__slots__}
    return {name: _plain(value) if is_dataclass(value) else value for name, value in found.items()}
