"""STAGES on running servers: its figures, in both protocols, and when it is answered."""

from __future__ import annotations

from typing import Any

from tests.support.resp import Aggregate, RawClient
from tests.support.servers import ServerProcess

SPENT = ["count", "sum_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"]


def as_map(reply: Any) -> dict[str, Any]:
    """A reply that is a map, or stands for one in RESP2."""
    row = reply.items if isinstance(reply, Aggregate) else reply
    return {name.decode(): value for name, value in zip(row[::2], row[1::2], strict=True)}


def latency(client: RawClient, *stage: str) -> dict[str, list[dict[str, Any]]]:
    found = as_map(client.value("STAGES", "LATENCY", *stage))
    return {name: [as_map(row) for row in rows] for name, rows in found.items()}


def test_latency_counts_requests(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        client.command("CONFIG", "RESETSTAT")
        for number in range(100):
            client.command("SET", "k", number)
        found = latency(client)
        assert {"parse", "execute", "commit", "respond", "write"} <= found.keys()
        rows = found["execute"]
        assert {row["lane"] for row in rows} >= {b"fast"}
        for window in ("all", "10", "60"):
            spent = [as_map(row[window]) for row in rows if window in row]
            assert all(list(one) == SPENT for one in spent)
            assert sum(one["count"] for one in spent) >= 100
            assert all(one["p50_ns"] <= one["p99_ns"] <= one["max_ns"] for one in spent)
        assert latency(client, "EXECUTE").keys() == {"execute"}
        client.command("CONFIG", "RESETSTAT")
        after = [as_map(row["all"])["count"] for row in latency(client).get("execute", [])]
        assert sum(after) < 10
        client.command("DEL", "k")


def test_both_protocols_say_the_same(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client(protocol=3) as other:
        for what in ("QUEUES", "THREADS"):
            flat, mapped = client.value("STAGES", what), other.value("STAGES", what)
            assert mapped.marker == "%"
            assert all(one.marker == "%" for one in mapped.items[1::2])
            names = {name: list(as_map(one)) for name, one in as_map(flat).items()}
            assert {name: list(as_map(one)) for name, one in as_map(mapped).items()} == names
        assert other.command("STAGES", "LATENCY")[:1] == b"%"
        assert other.command("STAGES", "FINDINGS")[:1] == b"*"
        assert other.command("STAGES", "DOCTOR")[:1] == b"="


def test_info_names_the_bottleneck(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        for number in range(100):
            client.command("SET", "k", number)
        line = client.value("INFO", "stages").split(b"bottleneck:")[1].splitlines()[0].decode()
        named = dict(field.split("=") for field in line.split(","))
        assert list(named) == ["stage", "share", "cause"]
        assert named["stage"] in latency(client)
        assert 0.0 < float(named["share"]) <= 1.0
        client.command("CONFIG", "RESETSTAT")
        client.command("DEL", "k")


def test_every_thread_is_there(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        threads = {
            name: as_map(one) for name, one in as_map(client.value("STAGES", "THREADS")).items()
        }
        pools = {one["pool"] for one in threads.values()}
        assert b"reactor" in pools
        assert sum(one["connections"] for one in threads.values()) >= 1
        assert all(0.0 <= float(one["busy"]) <= 1.0 for one in threads.values())


def test_it_is_answered_while_writes_wait(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client() as other:
        client.command("CLIENT", "PAUSE", 100_000, "WRITE")
        other.request("SET", "k", "v")
        for what in ("DOCTOR", "FINDINGS", "LATENCY", "QUEUES", "THREADS", "HELP"):
            assert client.command("STAGES", what)[:1] in b"$*"
        client.command("CLIENT", "UNPAUSE")
        assert other.reply() == b"+OK\r\n"
        client.command("DEL", "k")


def test_in_a_transaction(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        client.command("MULTI")
        assert client.command("STAGES", "FINDINGS") == b"+QUEUED\r\n"
        assert isinstance(client.value("EXEC")[0], list)
