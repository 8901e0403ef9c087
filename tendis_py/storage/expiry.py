"""The expiry sweep: keys are deleted when their time comes, whether or not anybody asks for them.

The ``expires`` column family is ordered by deadline, so what is due is a scan from its start. An
entry that does not match its key's row is stale, and only it is removed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tendis_py.storage.codec import NAMESPACE_SIZE, split_deadline_key
from tendis_py.storage.engine import EXPIRES
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 128
"""Keys a job expires at the most: about half a millisecond."""


@dataclass(frozen=True, slots=True)
class Due:
    """``entries``: (deadline in ms, meta key); ``keys``: the user keys to lock."""

    entries: list[tuple[int, bytes]]
    keys: set[bytes]


class Expiry:
    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace

    def due(self) -> Due | None:
        """The next keys whose time has come, None when there are none."""
        now = time.time_ns() // 1_000_000
        keyspace = self._keyspace
        # Starting at the low water mark skips the tombstones of what was swept before.
        lower = keyspace.expiry_low_water.to_bytes(8, "big")
        upper = (now + 1).to_bytes(8, "big")
        entries = [
            split_deadline_key(raw)
            for raw, _ in zip(
                keyspace.engine.keys(EXPIRES, lower, upper), range(SLICE), strict=False
            )
        ]
        if not entries:
            keyspace.expiry_low_water = max(keyspace.expiry_low_water, now - 1000)
            return None
        keyspace.expiry_low_water = entries[0][0]
        return Due(entries, {meta_key[NAMESPACE_SIZE:] for _, meta_key in entries})

    def expire(self, tx: Transaction, due: Due) -> None:
        """Delete what is still due; a job, run with ``due.keys`` locked."""
        for deadline, meta_key in due.entries:
            tx.expire(meta_key, deadline)
