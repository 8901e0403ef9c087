"""Which keys a request has locked while it runs."""

from __future__ import annotations

from tendis_py.commands.registry import Command, Lane
from tendis_py.resp.requests import Request
from tendis_py.storage.pacing import ITEMS_AT_ONCE


def claims_of(command: Command, request: Request) -> set[bytes] | None:
    """The keys to lock for a request; None for all: it is exclusive, or uses keys that can't be
    told from its arguments. No keys at all for one that touches none, or reads a snapshot (KEYS).
    """
    if command.lane is Lane.CONTROL:
        return set()
    if command.exclusive:
        return None
    if command.find_claims is not None:
        claimed = command.find_claims(request)
        return None if claimed is None else set(claimed)
    return _set_of(command.keys_in(request))


def _set_of(keys: list[bytes]) -> set[bytes]:
    """``keys`` without repeats; others get the GIL in between where there are many."""
    found = set(keys[:ITEMS_AT_ONCE])
    for start in range(ITEMS_AT_ONCE, len(keys), ITEMS_AT_ONCE):
        found.update(keys[start : start + ITEMS_AT_ONCE])
    return found
