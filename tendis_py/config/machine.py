"""How much memory this process may use.

Role: the one fact about the machine that a default is computed from.
May import: the standard library only.
Does not know: what the memory is for.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes of physical memory, or of the tightest cgroup limit if that is less.

    ``root`` is where ``proc`` and ``sys`` are found. Both cgroup versions are read, and all the
    parents of this process' group, since a limit on any of them holds.
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_cgroup_limits(root)])


def _cgroup_limits(root: Path) -> Iterator[int]:
    for directory, name in _cgroup_directories(root):
        try:
            text = (directory / name).read_text().strip()
        except OSError:
            continue  # the top group has no such file, and a container does not see its parents
        if text.isdecimal():  # else "max"
            yield int(text)


def _cgroup_directories(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield (directory, name of the limit's file) for our group and those around it."""
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mount = root / "sys/fs/cgroup"
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers == "":
            top, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for part in (group, *group.parents):
            yield top / part, name
