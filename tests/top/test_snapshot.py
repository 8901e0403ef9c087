"""Replies read into a snapshot."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tendis_py.top.snapshot import ALL, Answers, Snapshot, parse_info, snapshot

INFO = """# Server
redis_version:8.2.3
run_id:a
# Stats
total_commands_processed:{processed}
# Commandstats
cmdstat_get:calls={gets},usec={usec},usec_per_call=2.00,rejected_calls=1,failed_calls=2
cmdstat_config|set:calls=1,usec=9,usec_per_call=9.00,rejected_calls=0,failed_calls=0
# Latencystats
latency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=3.007
"""


THREAD = {"pool": "reactor", "busy": 0.5, "batches": 2.0, "requests": 8.0, "connections": 3}


def at(time: float, processed: int, gets: int, usec: int, **more: Any) -> Answers:
    info = INFO.format(processed=processed, gets=gets, usec=usec)
    return Answers(time=time, info=info, **more)


def test_the_first_has_sums_but_no_rates() -> None:
    seen = snapshot(at(10, 100, 50, 100), None)
    assert seen.number("total_commands_processed") == 100
    assert seen.rate("total_commands_processed") == 0
    get, config_set = seen.commands
    assert (get.name, get.calls, get.usec, get.failed, get.rejected) == ("get", 50, 100, 2, 1)
    assert (get.service.p50, get.service.p99, get.service.p999) == (1.003, 2.007, 3.007)
    assert (get.per_second, get.load) == (0, 0)
    assert config_set.name == "config|set"
    assert config_set.service.count == 0, "it has no percentiles"


def test_rates_are_since_the_snapshot_before() -> None:
    seen = snapshot(at(12, 300, 90, 1_000_100), snapshot(at(10, 100, 50, 100), None))
    assert seen.seconds == 2
    assert seen.rate("total_commands_processed") == 100
    assert (seen.commands[0].per_second, seen.commands[0].load) == (20, 0.5)


def test_a_reset_between_two_is_no_negative_rate() -> None:
    seen = snapshot(at(12, 5, 3, 6), snapshot(at(10, 100, 50, 100), None))
    assert seen.rate("total_commands_processed") == 0
    assert (seen.commands[0].per_second, seen.commands[0].load) == (0, 0)


def test_another_run_is_not_compared() -> None:
    before = snapshot(at(10, 100, 50, 100), None)
    restarted = replace(
        at(12, 500, 50, 100), info=at(12, 500, 50, 100).info.replace("id:a", "id:b")
    )
    assert snapshot(restarted, before).seconds == 0


@pytest.mark.parametrize("in_pairs", [False, True])
def test_stages_of_a_server_of_ours(in_pairs: bool) -> None:
    spent = {
        "count": 4,
        "sum_ns": 4000,
        "p50_ns": 1000,
        "p90_ns": 1500,
        "p99_ns": 2000,
        "p999_ns": 2500,
        "max_ns": 3000,
    }
    row = {"lane": "fast", "pool": "reactor", "all": spent, "10": {**spent, "count": 1}}
    queue = {
        "depth": 1,
        "requests": 7,
        "bytes": 99,
        "peak_requests": 9,
        "peak_bytes": 100,
        "capacity_requests": 16,
        "capacity_bytes": 64,
        "refused": 2,
        "paused": 3,
    }
    finding = {"cause": "queue", "stage": "queue", "share": 0.75, "seen": "a", "advice": "b"}
    shape = flat if in_pairs else (lambda reply: reply)
    seen = snapshot(
        at(
            *(1, 1, 1, 1),
            latency=shape({"execute": [row]}),
            queues=shape({"work": queue}),
            threads=shape({"reactor-0": THREAD}),
            findings=shape([finding]),
        ),
        None,
    )
    [stage] = seen.stages
    assert (stage.name, stage.lane, stage.pool) == ("execute", "fast", "reactor")
    assert {window: it.count for window, it in stage.windows.items()} == {ALL: 4, 10: 1}
    whole = stage.windows[ALL]
    assert (whole.sum, whole.p50, whole.p99, whole.p999, whole.max) == (4, 1, 2, 2.5, 3)
    [work] = seen.queues
    assert (work.name, work.requests, work.capacity, work.peak) == ("work", 7, 16, 9)
    assert (work.bytes, work.refused, work.paused) == (99, 2, 3)
    [reactor] = seen.threads
    assert (reactor.name, reactor.busy, reactor.connections) == ("reactor-0", 0.5, 3)
    [found] = seen.findings
    assert (found.cause, found.share, found.advice) == ("queue", 0.75, "b")


def flat(reply: Any) -> Any:
    """As RESP2 has maps."""
    if isinstance(reply, dict):
        return [item for pair in reply.items() for item in map(flat, pair)]
    return [flat(item) for item in reply] if isinstance(reply, list) else reply


@pytest.mark.parametrize(
    ("entry", "client", "stages"),
    [
        ([1, 1700000000, 12, ["get", "k"]], "", {}),
        ([1, 1700000000, 12, ["get", "k"], "h:1", "me"], "h:1", {}),
        ([1, 1700000000, 12, ["get", "k"], "h:1", "", {"queue": 3}], "h:1", {"queue": 3}),
        ([1, 1700000000, 12, ["get", "k"], "h:1", "", ["queue", 3]], "h:1", {"queue": 3}),
    ],
)
def test_slow_entries(entry: list[Any], client: str, stages: dict[str, int]) -> None:
    [slow] = snapshot(at(1, 1, 1, 1, slowlog=[entry]), None).slow
    assert (slow.usec, slow.words, slow.client, slow.stages) == (12, ["get", "k"], client, stages)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slowlog": [[1, 2]]},
        {"slowlog": [7]},
        {"slowlog": [[1, math.inf, 12, ["get"]]]},
        {"latency": {"execute": [7]}},
        {"latency": {"execute": [{"lane": "fast"}]}},
        {"latency": [1]},
        {"queues": {"work": {"requests": None}}},
        {"findings": {"a": 1}},
        {"threads": {"t": {**THREAD, "busy": math.nan}}},
        {"threads": {"t": {**THREAD, "connections": math.inf}}},
    ],
)
def test_what_is_no_reply(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        snapshot(at(1, 1, 1, 1, **wrong), None)


def test_no_figure_of_info_is_taken_on_trust() -> None:
    info = parse_info("a:nan\nb:1e999\nc:x\nd:12%\n# e:1\nf\ng\x1b[2J:\x1b[2J\r\nh:1=2,3=\n")
    seen = Snapshot(0, info, (), ())
    assert [seen.number(name) for name in "abcdx"] == [0, 0, 0, 12, 0]
    assert seen.pairs("h") == {"1": 2, "3": 0}
    assert "e" not in info
    assert info["g\\x1b[2J"] == "\\x1b[2J"


@pytest.mark.parametrize(
    ("info", "product"),
    [
        ("redis_version:7.0.1", "redis 7.0.1"),
        ("redis_version:7.2.4\nvalkey_version:8.0.0", "valkey 8.0.0"),
        ("redis_version:8.2.3\ntendis_py_version:0.1", "tendis-py 0.1"),
        ("", "redis ?"),
    ],
)
def test_products(info: str, product: str) -> None:
    assert Snapshot(0, parse_info(info), (), ()).product == product
