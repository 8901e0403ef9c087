"""What INFO memory and MEMORY STATS say of the memory in use, in Redis' terms.

The allocator is libc's, which can't be asked: as Redis does then, all that is resident is taken to
be the allocator's, and what is in use to be what it has handed out. Knows no commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tendis_py.services import Services


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """In bytes. ``clients`` is what waits in their buffers; ``peak_time`` a Unix time."""

    used: int
    resident: int
    peak: int
    peak_time: int
    startup: int
    clients: int

    @property
    def overhead(self) -> int:
        """What is in use for other things than data."""
        return self.startup + self.clients

    @property
    def dataset(self) -> int:
        return max(self.used - self.overhead, 0)

    @property
    def dataset_percent(self) -> float:
        """Of what has come since the start."""
        return _share(self.dataset, max(self.used - self.startup, 0)) * 100

    @property
    def peak_percent(self) -> float:
        return _share(self.used, self.peak) * 100

    @property
    def fragmentation(self) -> float:
        return _share(self.resident, self.used)

    @property
    def fragmentation_bytes(self) -> int:
        return self.resident - self.used


def memory_use(services: Services) -> MemoryUse:
    """As it is now, or was a moment ago."""
    held = services.holdings.now()
    return MemoryUse(
        used=held.resident,
        resident=held.resident,
        peak=held.peak,
        peak_time=held.peak_time,
        startup=services.startup_memory,
        clients=sum(traffic.buffered for traffic in services.stats.traffic),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
