"""A real server that would be a replica of this one."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import HOST, ServerProcess, redis_process, running, wait_until

REFUSAL = "This server can't have replicas"


def test_it_is_told_why_not_and_does_not_hammer(
    tendis_default: ServerProcess, tmp_path: Path
) -> None:
    with running(redis_process(tmp_path)) as would_be, would_be.client() as client:
        client.command("REPLICAOF", HOST, tendis_default.port)
        wait_until(lambda: REFUSAL in would_be.log, "it is refused")
        told = client.value("INFO", "replication").decode()
        (attempts,) = (
            int(line.partition(":")[2])
            for line in told.splitlines()
            if line.startswith("master_total_sync_attempts:")
        )
        assert attempts < 10, "it tries once a second"
        client.command("REPLICAOF", "NO", "ONE")
