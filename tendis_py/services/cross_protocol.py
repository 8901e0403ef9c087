"""Cross-protocol scripting: a web page that has its visitor's browser speak to the server.

An HTTP request is a series of inline commands to Redis, nearly all of them unknown, and its body
may hold any that are not. So the first word of HTTP ends the connection, as in Redis: whatever
follows does not run. Knows no command and no socket.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tendis_py.session import Session

log = logging.getLogger(__name__)

WARNING_SECONDS = 60.0
"""Between two warnings: an attacker may not fill the disk with them."""


class CrossProtocolGuard:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._warn_after = clock()

    def abort(self, session: Session) -> None:
        """Close the session's connection without a reply, and warn. For the thread that runs it."""
        session.closing = True
        session.peer.abort()
        with self._lock:
            now = self._clock()
            if now < self._warn_after:
                return
            self._warn_after = now + WARNING_SECONDS
        log.warning(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
            "commands to Redis. This is likely due to an attacker attempting to use Cross Protocol "
            "Scripting to compromise your Redis instance. Connection from %s aborted.",
            session.address,
        )
