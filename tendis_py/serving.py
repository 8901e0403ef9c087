"""The server as a process: its signals, what it says at the start and the end, its exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys

import trio

from tendis_py import REDIS_VERSION, __version__, log
from tendis_py.config import Config
from tendis_py.errors import StorageError
from tendis_py.interpreter import keep_collections_short, tune_interpreter
from tendis_py.server import Server, leaves, raise_fd_limit, serve

logger = logging.getLogger("tendis_py")


def run_server(config: Config) -> int:
    """Serve until a signal or SHUTDOWN; the process's exit code: 1 when the server could not start
    or end cleanly."""
    os.chdir(config.dir)
    log.configure(config)
    clients = raise_fd_limit(config.maxclients)
    if clients < config.maxclients:
        logger.warning(
            "maxclients is lowered from %d to %d: the process may not open more files",
            config.maxclients,
            clients,
        )
        config.maxclients = clients
    tune_interpreter()
    try:
        trio.run(_run, config)
    except (StorageError, OSError, BaseExceptionGroup) as failure:
        kinds = (StorageError, OSError)
        expected = [error for error in leaves(failure) if isinstance(error, kinds)]
        if not expected:
            raise
        for error in expected:
            logger.critical("%s", error)
            print(error, file=sys.stderr)
        return 1
    logger.log(log.NOTICE, "tendis-py is now ready to exit, bye bye...")
    return 0


async def _run(config: Config) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with serve(config) as server:
            _banner(server)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_collections_short, server.services.stats.changes)
                nursery.start_soon(_stop_on_signal, signals, server, nursery.cancel_scope)
                await server.stopping.wait()
                nursery.cancel_scope.cancel()


async def _stop_on_signal(signals: object, server: Server, scope: trio.CancelScope) -> None:
    async for number in signals:  # type: ignore[attr-defined]
        logger.log(log.NOTICE, "Received %s, scheduling shutdown...", signal.Signals(number).name)
        server.shutdown()
        return


def _banner(server: Server) -> None:
    config = server.config
    say = logger.log
    say(
        log.NOTICE,
        "tendis-py %s (speaks Redis %s), pid %d",
        __version__,
        REDIS_VERSION,
        os.getpid(),
    )
    say(
        log.NOTICE,
        "threading model %s, io-threads %d, executor-threads %d",
        server.model.name,
        len(server.reactors),
        sum(len(pool.executors) for pool in server.pools),
    )
    say(
        log.NOTICE,
        "data in %s, appendfsync %s, cache %d MB",
        server.keyspace.engine.path,
        config.appendfsync,
        config.cache_size >> 20,
    )
    for address in server.listening:
        say(log.NOTICE, "listening on %s", address)
    say(log.NOTICE, "Ready to accept connections")
