"""What requests need before they may run: which keys, and which lane. The only place that says so.

Found in one pass from the commands' declarations and the requests' arguments. A slow command runs
alone, for nothing else of its pipeline shall be locked meanwhile: what stands behind one is planned
when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

from tendis_py.commands.claims import claims_of
from tendis_py.commands.registry import FAST_ROWS, REGISTRY, Command, Lane
from tendis_py.resp.requests import Request
from tendis_py.session import Session, Transaction

_find = REGISTRY.find


@dataclass(slots=True)
class Plan:
    """``keys`` to lock; None is all keys. ``lane``: CONTROL when no request touches a key, SLOW
    when the first one may take long, else FAST."""

    keys: set[bytes] | None
    lane: Lane


Refuses = Callable[[set[bytes] | None], bool]
"""Whether a request is not to run that needs these keys; None: all."""


def plan(
    session: Session,
    requests: list[Request],
    *,
    in_slow_lane: bool = False,
    refuses: Refuses | None = None,
) -> Plan:
    """What those of ``requests`` need that will run in one go: those before a slow one, or the
    first alone once it is ``in_slow_lane``; nothing for what is to be refused."""
    if in_slow_lane:
        requests = requests[:1]
        if session.needs_all_keys and not (refuses is not None and refuses(None)):
            return Plan(None, Lane.SLOW)
    if session.transaction is not None:
        return _with_transactions(session, requests, in_slow_lane, refuses)
    keys: set[bytes] | None = set()
    lane = Lane.CONTROL
    for number, request in enumerate(requests):
        command = _find(request)
        if command is None or command.lane is Lane.CONTROL:
            if command is not None and command.name == "multi":
                return _with_transactions(session, requests, in_slow_lane, refuses)
            continue
        if command.lane_of(request) is Lane.SLOW:
            if number:
                break
            lane = Lane.SLOW
            if not in_slow_lane:
                break
        else:
            lane = Lane.FAST
        found = claims_of(command, request)
        if refuses is not None and refuses(found):
            continue
        if keys is not None:
            keys = None if found is None else keys | found if keys else found
    return Plan(keys, lane)


def _with_transactions(
    session: Session, requests: list[Request], in_slow_lane: bool, refuses: Refuses | None
) -> Plan:
    """As ``plan``, where there is a transaction: what it holds needs nothing until its EXEC, which
    needs all of that, and what is watched, in the lane of the slowest."""
    before = session.transaction
    queued: list[Request] | None = None if before is None else []  # besides those
    plans = []
    for number, request in enumerate(requests):
        command = _find(request)
        name = "" if command is None else command.name
        if queued is None:
            if name == "multi":
                queued = []
                continue
            one = plan_of(request)
            if one.lane is Lane.SLOW and not in_slow_lane:
                one.keys = set()
        elif name == "exec":
            one = _plan_of_unit(session, before, queued, in_slow_lane)
            before = queued = None
        else:
            if name in ("discard", "reset"):
                before = queued = None
            elif command is None or command.is_queued:
                queued.append(request)
            continue
        if refuses is not None and refuses(one.keys):
            one.keys = set()
        if one.lane is Lane.SLOW:
            if number:
                break
            return one
        plans.append(one)
    return union(plans)


def plan_of(request: Request) -> Plan:
    """What one request needs, wherever it runs."""
    command = _find(request)
    if command is None or command.lane is Lane.CONTROL:
        return Plan(set(), Lane.CONTROL)
    return Plan(claims_of(command, request), command.lane_of(request))


def keys_of(session: Session, command: Command, request: Request) -> set[bytes] | None:
    """What ``request``, the next of ``session``, needs locked; None: all."""
    if command.name == "exec" and session.transaction is not None:
        return _plan_of_unit(session, session.transaction, [], True).keys
    return claims_of(command, request)


def _plan_of_unit(
    session: Session, before: Transaction | None, queued: list[Request], in_slow_lane: bool
) -> Plan:
    """What EXEC needs of what was queued ``before``, if anything, and ``queued``."""
    arguments, is_slow = sum(map(len, queued)), False
    earlier: list[Request] = []
    if before is not None:
        earlier, is_slow = before.requests, before.is_slow
        arguments += before.arguments
    is_slow |= arguments > FAST_ROWS or len(session.watched) > FAST_ROWS
    if is_slow and not in_slow_lane:
        return Plan(set(), Lane.SLOW)
    keys: set[bytes] | None = set()
    lane = Lane.FAST if session.watched else Lane.CONTROL
    for request in chain(earlier, queued):
        one = plan_of(request)
        if one.lane is Lane.SLOW:
            is_slow = True
        elif one.lane is Lane.FAST:
            lane = Lane.FAST
        keys = _with(keys, one.keys)
    if keys is not None:
        keys.update(key for _, key in session.watched)
    if is_slow:
        return Plan(keys if in_slow_lane else set(), Lane.SLOW)
    return Plan(keys, lane)


def union(plans: Iterable[Plan]) -> Plan:
    """What a batch needs whose items need ``plans``."""
    keys: set[bytes] | None = set()
    lane = Lane.CONTROL
    for one in plans:
        if one.lane is not Lane.CONTROL:
            lane = Lane.FAST
        keys = _with(keys, one.keys)
    return Plan(keys, lane)


def _with(keys: set[bytes] | None, more: set[bytes] | None) -> set[bytes] | None:
    """Both; ``keys`` is used up."""
    if keys is None or more is None:
        return None
    keys |= more
    return keys
