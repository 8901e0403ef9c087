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
