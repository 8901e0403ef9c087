"""Whether the disk takes what is written: from the first write that fails until the folder is open
anew, commands that write are refused, and reads go on. Knows no command and no engine."""

from __future__ import annotations

import logging
import threading

from tendis_py.errors import WriteFailedError, write_failure
from tendis_py.log import NOTICE
from tendis_py.services.global_gates import GlobalGates, Reason

log = logging.getLogger(__name__)


class Disk:
    """It is enforced by a gate, before each command. Any thread may call any method."""

    __slots__ = ("_gates", "_lock", "failure")

    def __init__(self, gates: GlobalGates) -> None:
        self._gates = gates
        self._lock = threading.Lock()
        self.failure = ""
        """The reply to commands that write; "" while all is well."""

    def failed(self, error: WriteFailedError) -> str:
        """A write has failed: refuse others from now on. The reply to those it was for."""
        reply = write_failure(error.reason)
        with self._lock:
            is_first = not self.failure
            if is_first:
                self.failure = reply
                self._gates.set(Reason.DISK, True)
        if is_first:
            log.error("%s; commands that write are refused until there is a remedy", error)
        return reply

    def recovered(self) -> None:
        """Writes work again."""
        with self._lock:
            self.failure = ""
            self._gates.set(Reason.DISK, False)
        log.log(NOTICE, "Write errors look solved: commands that write are accepted again")
