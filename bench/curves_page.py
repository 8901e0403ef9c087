"""What `bench.curves` has found, as tables and sentences; the page of the threading models.

Every figure on the page, and every sentence with one, comes from the results: the text around the
marks in docs/threading-models.md is written by hand, the part between them by this module.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import report
from bench.servers import DEFAULT_MODEL, HANDED_OVER, REDIS

if TYPE_CHECKING:
    from bench.curves import Point, Results

BEGIN = "<!-- from here on written by python -m bench.curves -->"
END = "<!-- to here -->"

_HALF = 0.5
_OVERLOAD = 1.0
_HEAVY_NAMES = {"nothing": "nothing", "keys": "`KEYS *`", "sleep": "`DEBUG SLEEP 1`"}


def sections(results: Results) -> dict[str, str]:
    """The tables by their titles."""
    parts = {
        "Findings": findings_text(results),
        "The generator": generator_table(results),
        "Capacity": capacity_table(results),
        "Latency by share of the capacity": curves_table(results),
        "The work queue": queues_table(results),
        "Beside a slow command": isolation_table(results),
    }
    return {title: text for title, text in parts.items() if text}


def write(results: Results, page: Path) -> None:
    """Put tables and sentences between the page's marks."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no place for results: {BEGIN} … {END}")
    facts = ", ".join(f"{name} {fact}" for name, fact in report.metadata().items())
    parts = [facts, *(f"### {title}\n\n{body}" for title, body in _page_parts(results))]
    made = "\n\n".join(parts)
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


def _page_parts(results: Results) -> Iterable[tuple[str, str]]:
    pictures = {
        "Latency by share of the capacity": ("curves", "latency against throughput"),
        "The work queue": ("queues", "requests in the work queue over time"),
        "Beside a slow command": ("isolation", "latency beside a slow command"),
    }
    for title, text in sections(results).items():
        if title in pictures:
            name, about = pictures[title]
            text = f"![{about}](images/{name}.svg)\n\n{text}"
        yield title, text


def generator_table(results: Results) -> str:
    rows = [
        (
            str(pipeline),
            f"{found['rate']:,.0f}",
            f"{found['redis-benchmark']:,.0f}",
            f"{found['generator_us']:.2f}",
            f"{found['server_us']:.2f}",
        )
        for pipeline, found in results.generator.items()
    ]
    header = ("pipeline", "requests/s", "redis-benchmark's", "CPU µs", "redis-server's CPU µs")
    return report.table(header, rows) if rows else ""


def capacity_table(results: Results) -> str:
    reference = results.rate(REDIS) if REDIS in results.capacity else None
    rows = [
        (
            server,
            f"{results.rate(server):,.0f}",
            "-" if reference is None else f"{results.rate(server) / reference:.2f}",
            f"{_median(points, lambda point: point.cpu_us):.1f}",
            f"{_median(points, lambda point: point.generator_us):.1f}",
            f"{max(point.generator_busy for point in points):.0%}",
            str(sum(point.errors for point in points)),
        )
        for server, points in results.capacity.items()
    ]
    header = ("server", "requests/s", "ratio", "server's CPU µs", "generator's CPU µs")
    return report.table((*header, "generator busy", "errors"), rows)


def curves_table(results: Results) -> str:
    rows = []
    for server, shares in results.curves.items():
        for share, points in shares.items():
            inlines = [point.inline for point in points if point.inline is not None]
            rows.append(
                (
                    server,
                    f"{share:.0%}",
                    f"{_median(points, lambda point: point.rate):,.0f}",
                    *(
                        f"{_median(points, figure):.2f}"
                        for figure in (_p50, _p99, lambda point: point.p999)
                    ),
                    f"{statistics.median(inlines):.0%}" if inlines else "-",
                    str(sum(point.errors for point in points)),
                )
            )
    header = ("server", "of its capacity", "requests/s", "p50 ms", "p99 ms", "p99.9 ms")
    return report.table((*header, "in the reactor", "errors"), rows)


def queues_table(results: Results) -> str:
    rows = []
    for server, shares in results.queues.items():
        for share, (point, depths) in shares.items():
            waiting = [requests for _, requests in depths.samples] or [0]
            rows.append(
                (
                    server,
                    f"{share:.0%}",
                    f"{point.rate:,.0f}",
                    f"{statistics.mean(waiting):,.1f}",
                    f"{max(waiting):,}",
                    f"{max((requests for _, requests in point.behind), default=0):,.0f}",
                    "-" if point.inline is None else f"{1 - point.inline:.0%}",
                    f"{point.p50:.2f}",
                    f"{point.p99:.2f}",
                )
            )
    waiting_at = ("queued, mean", "at the most", "unsent", "batches queued")
    header = ("server", "of its capacity", "requests/s", *waiting_at, "p50 ms", "p99 ms")
    return report.table(header, rows) if rows else ""


def isolation_table(results: Results) -> str:
    rows = []
    for server, by_heavy in results.isolation.items():
        for heavy, point in by_heavy.items():
            figures = (point.p50, point.p99, point.p999, point.longest)
            row = (f"{point.rate:,.0f}", *(f"{figure:.2f}" for figure in figures))
            rows.append((server, _HEAVY_NAMES.get(heavy, heavy), *row))
    header = ("server", "beside", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms")
    return report.table(header, rows)


def findings_text(results: Results) -> str:
    """What the figures say, a sentence each."""
    lines = [
        *_on_generator(results),
        *_on_capacity(results),
        *_on_latency(results),
        *_on_handing_over(results),
        *_on_queues(results),
        *_on_isolation(results),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _on_generator(results: Results) -> Iterable[str]:
    for pipeline, found in results.generator.items():
        share = found["rate"] / found["redis-benchmark"]
        yield (
            f"One process of `tendis-py load` makes {found['rate']:,.0f} requests/s against "
            f"redis-server at pipeline {pipeline}, {share:.2f} of what redis-benchmark makes."
        )
    models = [server for server in results.capacity if server != REDIS]
    if models:
        needed = max(results.capacity[server][0].generator_us for server in models)
        taken = min(results.capacity[server][0].cpu_us for server in models)
        yield (
            f"A request takes a model {taken:.1f} µs of CPU time or more, the generator "
            f"{needed:.1f} µs or less: one generator saturates "
            f"{'each of them' if needed < taken else 'not all of them'}."
        )


def _on_capacity(results: Results) -> Iterable[str]:
    rates = {server: results.rate(server) for server in results.capacity if server != REDIS}
    if len(rates) > 1:
        ordered = sorted(rates, key=lambda server: -rates[server])
        text = ", ".join(f"{server} {rates[server]:,.0f}" for server in ordered)
        yield f"Capacity, requests/s, from the most to the least: {text}."


def _on_latency(results: Results) -> Iterable[str]:
    at_half = {
        server: _median(shares[_HALF], _p99)
        for server, shares in results.curves.items()
        if _HALF in shares
    }
    if len(at_half) > 1:
        ordered = sorted(at_half, key=lambda server: at_half[server])
        text = ", ".join(f"{server} {at_half[server]:.2f}" for server in ordered)
        yield f"p99 in ms at half of each one's capacity, from the shortest to the longest: {text}."
    for server, shares in results.curves.items():
        known = {share: points for share, points in shares.items() if share < _OVERLOAD}
        if _HALF in known and len(known) > 1:
            most = max(known)
            ratio = _median(known[most], _p99) / _median(known[_HALF], _p99)
            yield (
                f"{server}: at {most:.0%} of the capacity p99 is {ratio:.1f} times what it is at "
                "half of it."
            )


def _on_handing_over(results: Results) -> Iterable[str]:
    if not {DEFAULT_MODEL, HANDED_OVER} <= results.capacity.keys():
        return
    ratio = results.rate(HANDED_OVER) / results.rate(DEFAULT_MODEL)
    yield f"With every batch handed over, the capacity is {ratio:.2f} of that of `adaptive`."
    ours, theirs = results.curves[DEFAULT_MODEL], results.curves[HANDED_OVER]
    for share in sorted(ours.keys() & theirs.keys()):
        if share in (min(ours), _HALF):
            yield (
                f"At {share:.0%} of the capacity its p50 is {_median(theirs[share], _p50):.2f} ms, "
                f"that of `adaptive` {_median(ours[share], _p50):.2f}."
            )


def _on_queues(results: Results) -> Iterable[str]:
    for server, shares in results.queues.items():
        text = ", ".join(
            f"{statistics.mean([requests for _, requests in depths.samples] or [0]):,.1f} "
            f"at {share:.0%}"
            for share, (_, depths) in shares.items()
        )
        yield f"{server}: requests in the work queue, on average, {text} of the capacity."


def _on_isolation(results: Results) -> Iterable[str]:
    heavies = dict.fromkeys(heavy for found in results.isolation.values() for heavy in found)
    for heavy in heavies:
        if heavy == "nothing":
            continue
        p99s = {server: found[heavy].p99 for server, found in results.isolation.items()}
        ordered = sorted(p99s, key=lambda server: p99s[server])
        text = ", ".join(f"{server} {p99s[server]:.1f}" for server in ordered)
        yield f"p99 in ms of the others beside {_HEAVY_NAMES.get(heavy, heavy)}: {text}."


def _p50(point: Point) -> float:
    return point.p50


def _p99(point: Point) -> float:
    return point.p99


def _median(points: Sequence[Point], figure: Callable[[Point], float]) -> float:
    return statistics.median(map(figure, points))


def by_share(
    shares: Mapping[float, Sequence[Point]], figure: Callable[[Point], float]
) -> tuple[list[float], list[float]]:
    """Requests per second and a figure, in the order of the shares, as medians of the rounds."""
    ordered = [shares[share] for share in sorted(shares)]
    return (
        [_median(points, lambda point: point.rate) for points in ordered],
        [_median(points, figure) for points in ordered],
    )
