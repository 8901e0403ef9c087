"""The HTTP port: opened at the start or by CONFIG SET, served in a thread of its own.

In a thread and a trio of its own, so that accepting clients, expiry and fsync never wait for a
page; whatever fails there is logged, and served anew a moment later.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from importlib.util import find_spec

import trio

from tendis_py.log import NOTICE
from tendis_py.services import Services
from tendis_py.stages.listening import ListenError, bind_tcp, describe

log = logging.getLogger(__name__)

PACKAGES = ("starlette", "hypercorn", "prometheus_client")
HOW_TO_INSTALL = "pip install 'tendis-py[dashboard]'"

BACKLOG = 128
RETRY_SECONDS = 5.0
STOP_SECONDS = 5.0


class Dashboard:
    """What ``dashboard-port`` and ``dashboard-bind`` ask for. Thread-safe."""

    def __init__(self, services: Services, *, port: int | None = None) -> None:
        """Listens before this returns, unless the port is 0; ``port`` stands for the setting, and
        0 then has the system choose one. ListenError when it can't be."""
        self._services = services
        self._lock = threading.Lock()
        self._is_started = self._is_stopped = False
        self._binding = self._setting()
        self._site: _Site | None = None
        if port is not None:
            self._binding = (port, self._binding[1])
        if port is not None or self._binding[0]:
            self._site = _Site(services, *self._binding)

    @property
    def addresses(self) -> list[str]:
        """``127.0.0.1:8080`` and the like; empty while it is off."""
        return self._site.addresses if self._site else []

    @property
    def port(self) -> int:
        """0 while it is off."""
        return self._site.port if self._site else 0

    def _setting(self) -> tuple[int, list[str]]:
        config = self._services.config
        return config.dashboard_port, config.dashboard_bind

    def start(self) -> None:
        with self._lock:
            self._is_started = True
            if self._site:
                self._site.start()

    def follow_settings(self) -> None:
        """Listen where the settings say now; who watches is let go. ListenError when it can't be:
        then it is served where it was before."""
        with self._lock:
            if self._is_stopped:
                return
            before, self._binding = self._binding, self._setting()
            was_on = self._site is not None
            if self._site:
                self._site.stop()
                self._site = None
            try:
                self._open(*self._binding)
            except ListenError:
                self._binding = before
                if was_on:
                    self._open(*before)
                raise

    def _open(self, port: int, bind: list[str]) -> None:
        if port:
            self._site = _Site(self._services, port, bind)
            if self._is_started:
                self._site.start()

    def stop(self) -> None:
        """Let everyone go, and wait for that."""
        with self._lock:
            self._is_stopped = True
            site, self._site = self._site, None
        if site:
            site.stop()
            site.wait()


class _Site:
    """The sockets of one setting, and the thread that serves them until ``stop``."""

    def __init__(self, services: Services, port: int, bind: list[str]) -> None:
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            raise ListenError(
                f"dashboard-port needs {' and '.join(missing)}, which is not installed: "
                f"{HOW_TO_INSTALL}"
            )
        self._services = services
        self._sockets: list[socket.socket] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._stop_serving = trio.Event()
        try:
            for entry in bind:
                sock = bind_tcp(entry, port, BACKLOG)
                if sock is not None:
                    port = sock.getsockname()[1]
                    self._sockets.append(sock)
            if not self._sockets:
                raise ListenError("dashboard-bind has no address that there is")
        except ListenError:
            self._close()
            raise
        self.port = port
        self.addresses = [describe(sock) for sock in self._sockets]

    def start(self) -> None:
        for address in self.addresses:
            log.log(NOTICE, "dashboard on http://%s", address)
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                trio.run(self._serve)
            except Exception:
                if not self._stopping.is_set():
                    log.exception("the dashboard failed; it is back in %g s", RETRY_SECONDS)
                    self._stopping.wait(RETRY_SECONDS)

    async def _serve(self) -> None:
        from tendis_py.http.worker import Worker  # needs the extra, and takes a while to import

        self._stop_serving = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        with contextlib.ExitStack() as opened:
            sockets = [opened.enter_context(sock.dup()) for sock in self._sockets]
            if not self._stopping.is_set():
                await Worker(self._services).serve(sockets, self._stop_serving)

    def stop(self) -> None:
        """Listen no more, from now on, and end soon; does not wait."""
        self._stopping.set()
        self._close()
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(lambda: self._stop_serving.set())

    def wait(self) -> None:
        """After ``stop``: until everyone is gone."""
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _close(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD)  # of the worker's duplicates, too
            sock.close()
