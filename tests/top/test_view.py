"""What a snapshot looks like, at any width; and the bottleneck of a plain Redis."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from rich.console import Console, RenderableType

from tendis_py.top import plain
from tendis_py.top.listing import Column, Facts, Listing, Sparkline, bar
from tendis_py.top.snapshot import (
    Command,
    Durations,
    Finding,
    Queue,
    SlowEntry,
    Snapshot,
    Stage,
    Thread,
)
from tendis_py.top.view import ORDERS, PANELS, View, heading

OURS = {"tendis_py_version": "0.1", "threading_model": "redis", "memtable_bytes": "2048"}


def command(name: str, calls: int = 10, per_second: float = 0.0, load: float = 0.0) -> Command:
    spent = Durations(calls, 100, 1, 2, 3)
    return Command(name, calls, 100.0, 0, 0, per_second, load, spent, spent)


def seen(**fields: object) -> Snapshot:
    fields = {"info": OURS, "commands": [command("get")], "slow": (), "seconds": 1.0, **fields}
    return Snapshot(time=1.0, **fields)  # type: ignore[arg-type]


def text(renderable: RenderableType, width: int = 120) -> str:
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def panel(name: str, snapshot: Snapshot, width: int = 120, view: View | None = None) -> str:
    [wanted] = [one for one in PANELS if one.name == name]
    assert wanted.applies(snapshot)
    return text(wanted.draw(view or View("h:1"), snapshot), width)


LISTING = Listing(
    [Column("name", is_text=True), Column("a", 2), Column("b"), Column("c", 1)],
    [["first", "1", "22", "333"], ["second", "1", "2", "3"]],
)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, "name    a   b    c\nfirst   1  22  333\nsecond  1   2    3"),
        (17, "name     b    c\nfirst   22  333\nsecond   2    3"),
        (12, "name     b\nfirst   22\nsecond   2"),
        (8, "name   b\nfir…  22\nsec…   2"),
    ],
)
def test_a_listing_leaves_out_what_it_has_no_room_for(width: int, expected: str) -> None:
    assert text(LISTING, width) == expected


def test_a_long_text_is_cut_before_numbers_are_left_out() -> None:
    listing = Listing([Column("n", 1), Column("request", is_text=True)], [["1", "x" * 200]])
    assert text(listing, 30).splitlines()[1] == "1  " + "x" * 26 + "…"


def test_facts_are_wrapped_between_them() -> None:
    facts = Facts([("used", "1.00 MB"), ("peak", "2.00 MB"), ("keys", "3")])
    assert text(facts, 28) == "used 1.00 MB  peak 2.00 MB\nkeys 3"
    assert text(facts, 12) == "used 1.00 MB\npeak 2.00 MB\nkeys 3"


def test_sparkline() -> None:
    assert text(Sparkline([9, 0, 4, 8]), 3) == " ▄█".rstrip()
    assert text(Sparkline([0, 0])) == ""
    assert text(Sparkline([])) == ""


def test_bars() -> None:
    assert [bar(part).plain.count("█") for part in (-1, 0, 0.5, 1, 7)] == [0, 0, 5, 10, 10]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_panel_is_wider_than_the_screen(width: int) -> None:
    spent = Durations(5, 50, 1, 2, 3, 4)
    snapshot = seen(
        stages=[Stage("execute", "fast", "reactor", {10: spent})],
        queues=[Queue("work", 1, 2, 3, 4, 5, 6)],
        threads=[Thread("reactor-0", "reactor", 0.5, 1, 2, 3)],
        slow=[SlowEntry(1, 1, 20, ["get", "k" * 500], "127.0.0.1:12345", {"queue": 15})],
        findings=[Finding("queue", "queue", 0.9, "Long words. " * 9, "More words. " * 9)],
    )
    for one in PANELS:
        assert max(map(len, panel(one.name, snapshot, width).splitlines())) <= width
    assert max(map(len, text(heading(View("h:1", snapshot)), width).splitlines())) <= width


def test_stages_have_their_shares_without_those_of_their_parts() -> None:
    stages = [
        Stage("queue", "fast", "executor", {10: Durations(4, 300, 50, 99, 100, 101)}),
        Stage("execute", "fast", "executor", {10: Durations(4, 100, 25, 30, 40, 50)}),
        Stage("engine", "fast", "executor", {10: Durations(4, 50, 20, 30, 40, 50)}),
        Stage("fsync", "background", "background", {10: Durations(1, 9000, 9, 9, 9, 9)}),
        Stage("lock", "fast", "executor", {10: Durations(), 60: Durations(1, 1, 1, 1, 1, 1)}),
    ]
    by_lane = View("h:1", lanes=True)
    head, *rows = panel("stages", seen(stages=stages), view=by_lane).splitlines()
    titles = ["stage", "lane", "pool", "share", "requests", "mean", "p50", "p99", "p99.9", "max"]
    assert head.split() == titles
    assert [row.split()[:4] for row in rows] == [
        ["queue", "fast", "executor", "75"],
        ["execute", "fast", "executor", "12"],
        ["engine", "fast", "executor", "12"],
        ["fsync", "background", "background", "0.0"],
    ]
    assert rows[0].split("░")[-1].strip() == "4  75.0 µs  50.0 µs  99.0 µs   100 µs   101 µs"
    for window, text_of_it in ((0, "No request"), (60, "lock ")):
        shown = panel("stages", seen(stages=stages), view=View("h:1", window=window, lanes=True))
        assert text_of_it in shown


def test_a_stage_in_one_line_has_the_shares_of_its_lanes() -> None:
    spent = {10: Durations(2, 300, 1, 2, 3, 4)}
    stages = [Stage("parse", lane, "reactor", spent) for lane in ("fast", "slow")]
    whole = Stage("parse", "", "", {10: Durations(4, 600, 1, 2, 3, 4)})
    _, row = panel("stages", seen(stages=stages, whole_stages=[whole])).splitlines()
    assert row.split()[:2] == ["parse", "100"]
    assert row.split("█")[-1].strip() == "4  150 µs  1.00 µs  2.00 µs  3.00 µs  4.00 µs"


def test_orders_of_commands() -> None:
    commands = [command("a", 1, 5.0, 0.1), command("b", 2, 1.0, 0.9), command("c", 3, 9.0, 0.0)]

    def order(by: str) -> list[str]:
        rows = panel("commands", seen(commands=commands), view=View("h:1", order=by)).splitlines()
        return [row.split()[0] for row in rows[1:]]

    by_time, by_calls, _ = ORDERS
    assert order(by_time) == ["B", "A", "C"]
    assert order(by_calls) == ["C", "A", "B"]


def test_a_queue_shows_how_full_it_is() -> None:
    queues = [Queue("work", 12, 2048, 15, 16, 3, 1), Queue("responses-0", 5, 0, 9, 0, 0, 0)]
    _, work, responses = panel("queues", seen(queues=queues)).splitlines()
    assert work.split() == ["work", "12", "████████░░", "16", "15", "2.00", "KB", "3", "1"]
    assert "any" in responses
    assert "░" not in responses


def test_words_of_the_model_and_of_the_bottleneck() -> None:
    threads = [Thread("reactor-0", "reactor", 0.98, 7, 9, 51)]
    assert "one thread does everything" in panel("threads", seen(threads=threads))
    mixed = {**OURS, "threading_model": "tendis", "inline_share": "0.250"}
    assert "25 % of the batches" in panel("threads", seen(info=mixed, threads=threads))
    findings = [Finding("slow_reader", "write", 0.5, "One does not read.", "Find it.")]
    assert (
        panel("bottleneck", seen(findings=findings)) == "slow reader  One does not read. Find it."
    )


def test_a_plain_redis_has_no_panels_of_ours() -> None:
    names = {one.name for one in PANELS if one.applies(seen(info={"redis_version": "8.2.3"}))}
    assert names == {"bottleneck", "throughput", "commands", "clients", "memory", "slowlog"}


def test_the_heading_says_that_the_server_is_gone() -> None:
    view = View("h:1")
    assert text(heading(view)) == "h:1"
    view.show(seen(info={**OURS, "uptime_in_seconds": "61", "connected_clients": "1"}))
    assert text(heading(view)) == "tendis-py 0.1 at h:1   up 1m 01s   0 requests/s   1 client"
    view.lost = "Connection refused"
    assert text(heading(view)) == "tendis-py 0.1 at h:1   gone: Connection refused; trying again"
    view.show(seen())
    assert "gone" not in text(heading(view))


def causes(since: Mapping[str, float], *commands: Command) -> list[Finding]:
    return plain.findings(seen(info={}, commands=commands, since=since))


def test_a_busy_main_thread_is_the_bottleneck_of_a_plain_redis() -> None:
    used = {"used_cpu_sys_main_thread": 0.2, "used_cpu_user_main_thread": 0.7, "used_cpu_user": 9}
    snapshot = seen(
        info=dict.fromkeys(used, "1"),
        since=used,
        commands=[command("get", per_second=5, load=0.1), command("keys", per_second=3, load=0.6)],
    )
    [found] = plain.findings(snapshot)
    assert (found.cause, found.share) == ("cpu", pytest.approx(0.9))
    assert "busy 90 % of the time; 86 % of the time in commands goes to KEYS (200 ms a call)" in (
        found.seen
    )


def test_other_bottlenecks_of_a_plain_redis() -> None:
    assert [one.cause for one in causes({"aof_delayed_fsync": 3})] == ["fsync"]
    assert [one.cause for one in causes({"evicted_keys": 3})] == ["memory"]
    assert [one.cause for one in causes({"rejected_connections": 3})] == ["clients"]
    [calm] = causes({})
    assert (calm.cause, calm.advice) == ("none", "")
