"""What the stages and the engine tell of themselves, counted from the last CONFIG RESETSTAT on.

Their counters only ever grow, so a note is taken of where they stood, as ``stats`` does. Knows the
names of records and of their fields, not where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Records = dict[str, dict[str, Any]]

_COUNTERS: Mapping[str, frozenset[str]] = {
    "reactor": frozenset(
        (
            "turns",
            "requests",
            "inline",
            "queued",
            "paused_reads",
            "responses_posted",
            "responses_wakeups",
        )
    ),
    "work_queue": frozenset(("taken", "refused")),
    "slow_queue": frozenset(("taken", "refused")),
    "locks": frozenset(("contended",)),
    "cache": frozenset(("rotations",)),
    "engine": frozenset(("stalls", "stalled_seconds")),
}
"""Of each kind of record the fields that count; the others say how things are now."""


class Figures:
    """``ask`` for the records as they are, which may have records in them."""

    def __init__(self, ask: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._ask = ask
        self._mark: Records = {}

    def now(self) -> Records:
        """Record name → field → value; a field of a record in it has both names."""
        return {
            name: {field: value - self._before(name, field) for field, value in flat.items()}
            for name, flat in self._flat().items()
        }

    def reset(self) -> None:
        """Count from zero again."""
        self._mark = self._flat()

    def _before(self, name: str, field: str) -> Any:
        counts = field in _COUNTERS.get(name.partition("-")[0], ())
        return self._mark.get(name, {}).get(field, 0) if counts else 0

    def _flat(self) -> Records:
        return {name: _flat(record) for name, record in self._ask().items()}


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested records in one; a record's own name is left out."""
    result: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            result.update(_flat(value, f"{prefix}{name}_"))
        elif name != "name":
            result[prefix + name] = value
    return result
