"""The expiry sweep: keys are deleted when their time comes, whether or not anybody asks for them.

The ``expires`` column family is ordered by deadline, so what is due is a scan from its start. An
entry that does not match its key's row is stale, and only it is removed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice

from tendis_py.storage.codec import NAMESPACE_SIZE, deadline_key, split_deadline_key
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
        after = time.time_ns() // 1_000_000 + 1
        low_water = self._keyspace.expiry_low_water
        lower = low_water.raise_to(after)
        found = self._keyspace.engine.keys(
            EXPIRES, deadline_key(lower, b""), deadline_key(after, b"")
        )
        entries = [split_deadline_key(raw) for raw in islice(found, SLICE)]
        if not entries:
            return None
        low_water.lower(entries[0][0])
        return Due(entries, {meta_key[NAMESPACE_SIZE:] for _, meta_key in entries})

    def expire(self, tx: Transaction, due: Due) -> None:
        """Delete what is still due; a job, run with ``due.keys`` locked."""
        for deadline, meta_key in due.entries:
            tx.expire(meta_key, deadline)
