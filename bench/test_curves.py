"""What bench.curves reads from reports and servers, and what it makes of it."""

import dataclasses
import xml.etree.ElementTree
from pathlib import Path

import pytest

from bench import curves, curves_chart, curves_page
from bench.curves import Depths, Point, Results
from bench.servers import DEFAULT_MODEL, HANDED_OVER, MODELS, REDIS, ROOT

FOUND = {
    "plan": {"rate": 1000.0},
    "requests": 2000,
    "requests_per_second": 990.0,
    "errors": {"ERR": {"count": 3, "example": "ERR no"}},
    "unanswered": 4,
    "latency_us": {"all": {"p50": 100, "p99": 2000, "p99.9": 3000, "max": 4000}},
    "generator": {"cpu_us_per_request": 5.0, "busy": 0.25},
    "course": [{"seconds": 0.5, "behind_ms": 0.0}, {"seconds": 1.5, "behind_ms": 20.0}],
}


def point(rate: float = 1000.0, p99: float = 2.0, inline: float | None = None) -> Point:
    return Point(rate, rate, p99 / 2, p99, p99, p99, 0, 10.0, 3.0, 0.3, [(1.0, 2.0)], inline)


def results() -> Results:
    servers = (REDIS, *MODELS, HANDED_OVER)
    found = Results({1: {"rate": 5.0, "redis-benchmark": 10.0, "generator_us": 2, "server_us": 3}})
    for place, server in enumerate(servers, 1):
        rate = 8000.0 / place
        found.capacity[server] = [point(rate)]
        found.curves[server] = {
            share: [point(share * rate, 1.0 + share, 0.5)] for share in (0.1, 0.5, 0.9, 1.1)
        }
        found.isolation[server] = {"nothing": point(), "keys": point(p99=float(place))}
    for server in (DEFAULT_MODEL, HANDED_OVER):
        found.queues[server] = {0.5: (point(inline=0.75), Depths([(0.1, 4), (0.2, 8)]))}
    return found


def test_a_run_is_read() -> None:
    read = curves.read_point(FOUND, 0.02)
    assert (read.asked, read.rate, read.errors) == (1000.0, 990.0, 7)
    assert (read.p50, read.p99, read.p999, read.longest) == (0.1, 2.0, 3.0, 4.0)
    assert read.cpu_us == pytest.approx(10.0)
    assert read.behind == [(0.5, 0.0), (2.0, 20.0)]


def test_the_share_of_batches_is_of_those_between_two_counts() -> None:
    info = b"reactor-0:turns=1,inline=3,queued=1,x=2\r\nreactor-1:turns=1,inline=2,queued=4,x=2\r\n"
    assert curves.count_batches(info) == (5, 5)
    assert curves.count_batches(b"") == (0, 0)
    assert curves.with_inline(point(), (5, 5), (8, 6)).inline == 0.75
    assert curves.with_inline(point(), (0, 0), (0, 0)).inline is None


def test_the_work_queue_is_found_among_the_queues() -> None:
    queues = [b"slow", [b"depth", 0, b"requests", 9], b"work", [b"depth", 1, b"requests", 7]]
    assert curves.requests_waiting(queues) == 7
    assert curves.requests_waiting(queues[:2]) is None


def test_all_figures_come_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{curves_page.BEGIN}\nold\n{curves_page.END}\nafter\n")
    for _ in range(2):
        curves_page.write(results(), page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{curves_page.END}\nafter\n")
    assert text.count("### Capacity") == 1
    assert "old" not in text
    assert "Capacity, requests/s, from the most to the least: tendis 4,000, kvrocks 2,667" in text
    assert "With every batch handed over, the capacity is 0.29 of that of `adaptive`." in text
    assert "requests in the work queue, on average, 6.0 at 50% of the capacity." in text
    assert "redis-server 1.0, tendis 2.0, kvrocks 3.0" in text
    assert str(ROOT) not in text


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(SystemExit, match="no place for results"):
        curves_page.write(results(), page)
    assert page.read_text() == "nothing\n"


def test_the_real_page_has_a_place_for_results() -> None:
    text = (ROOT / "docs" / "threading-models.md").read_text()
    assert text.index(curves_page.BEGIN) < text.index(curves_page.END)


def test_pictures_name_every_server(tmp_path: Path) -> None:
    curves_chart.draw(results(), tmp_path)
    for name in ("curves", "queues", "isolation"):
        text = (tmp_path / f"{name}.svg").read_text()
        xml.etree.ElementTree.fromstring(text)
        assert f"<!-- {DEFAULT_MODEL} -->" in text


def test_parts_that_were_not_measured_are_left_out(tmp_path: Path) -> None:
    found = dataclasses.replace(results(), queues={}, generator={})
    assert "The work queue" not in curves_page.sections(found)
    curves_chart.draw(found, tmp_path)
    assert not (tmp_path / "queues.svg").exists()
