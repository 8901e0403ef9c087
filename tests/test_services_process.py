"""What the system knows of this process."""

from __future__ import annotations

from tendis_py.services.process import allocated, resident_memory
from tests.support.resp import decode
from tests.support.servers import ServerProcess

MANY = 2000


def test_what_is_allocated_is_in_use() -> None:
    before = allocated()
    if before is None:  # it is not glibc
        return
    blocks = [bytes(2000 + number) for number in range(MANY)]
    now = allocated()
    assert now is not None
    assert now.used - before.used > MANY * 1000
    assert now.heap >= now.used
    assert len(blocks) == MANY


def test_malloc_stats(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        text = decode(client.command("MEMORY", "MALLOC-STATS")).decode()
    lines = dict(line.strip().split(": ") for line in text.splitlines() if ": " in line)
    if allocated() is not None:
        assert lines.keys() >= {"Heap", "in use", "free", "Mapped", "Resident"}
        assert int(lines["Resident"].split()[0]) > resident_memory() // 100
