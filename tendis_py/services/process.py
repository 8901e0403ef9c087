"""What the operating system knows of this process: memory, CPU time. Linux' /proc only."""

from __future__ import annotations

import ctypes
import os
import resource
from dataclasses import dataclass

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_memory() -> int:
    """Bytes of this process in physical memory."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:
        return int(statm.read().split()[1]) * _PAGE


def physical_memory() -> int:
    """Bytes of memory of the machine."""
    return _PAGE * os.sysconf("SC_PHYS_PAGES")


def release_free_memory() -> None:
    """Give back to the system what libc's allocator holds and nobody uses: some 10 ms for 100 MB,
    with the GIL released. Nothing happens where libc can't (it is not glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _MallInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    ]


@dataclass(frozen=True, slots=True)
class Allocated:
    """What libc's allocator has, in bytes: ``heap`` taken from the system for small blocks, of
    which some are ``used``, others ``free``, and the uppermost could be given back (``trimmable``);
    and in ``mapped_blocks`` blocks of their own."""

    heap: int
    used: int
    free: int
    free_blocks: int
    trimmable: int
    mapped: int
    mapped_blocks: int


def allocated() -> Allocated | None:
    """None where libc does not tell (it is not glibc, or older than 2.33)."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return None
    ask.restype = _MallInfo
    found = ask()
    return Allocated(
        heap=found.arena,
        used=found.uordblks,
        free=found.fordblks,
        free_blocks=found.ordblks,
        trimmable=found.keepcost,
        mapped=found.hblkhd,
        mapped_blocks=found.hblks,
    )


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of CPU time, of this process and of its ended children."""

    system: float
    user: float
    children_system: float
    children_user: float


_TICK = os.sysconf("SC_CLK_TCK")


def main_thread_cpu() -> tuple[float, float]:
    """Seconds of CPU time of the main thread, in the system and for itself, to some 10 ms."""
    with open(f"/proc/self/task/{os.getpid()}/stat", "rb", buffering=0) as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return int(fields[12]) / _TICK, int(fields[11]) / _TICK


def cpu_times() -> CpuTimes:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return CpuTimes(own.ru_stime, own.ru_utime, children.ru_stime, children.ru_utime)
