"""The pictures of docs/threading-models.md. Needs matplotlib, as `chart` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.curves_page import by_share
from bench.servers import HANDED_OVER, MODELS, REDIS

if TYPE_CHECKING:
    from bench.curves import Results

# Okabe and Ito: told apart by colour-blind readers too; the marks tell without colours.
_STYLES = {
    server: {"color": colour, "marker": marker}
    for server, colour, marker in zip(
        (*MODELS, HANDED_OVER, REDIS),
        ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#444444"),
        "os^Dv*x",
        strict=True,
    )
}
_BARS = 0.8


def draw(results: Results, folder: Path) -> None:
    """Write curves.svg, queues.svg and isolation.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(_curves(results), folder / "curves.svg")
    if results.queues:
        _save(_queues(results), folder / "queues.svg")
    _save(_isolation(results), folder / "isolation.svg")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})


def _curves(results: Results) -> Figure:
    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = figure.subplots(ncols=2, sharey=True)
    for axes, name, place in zip(panels, ("p50", "p99"), (0, 1), strict=True):
        for server, shares in results.curves.items():
            rates, latencies = by_share(
                shares, (lambda point: point.p50, lambda point: point.p99)[place]
            )
            thousands = [rate / 1000 for rate in rates]
            axes.plot(thousands, latencies, label=server, markersize=5, **_STYLES[server])
        axes.set_title(f"{name} against throughput", loc="left", fontsize=10)
        axes.set_xlabel("thousand requests/s answered in time")
        axes.set_yscale("log")
        _plain(axes)
    panels[0].set_ylabel("latency, ms, from when a request was due")
    _legend(figure, panels[0])
    return figure


def _queues(results: Results) -> Figure:
    shares = sorted({share for found in results.queues.values() for share in found})
    figure = Figure(figsize=(10, 2 * len(shares)), layout="constrained")
    grid = figure.subplots(len(shares), 2, sharex=True, squeeze=False)
    for (queue, outside), share in zip(grid, shares, strict=True):
        for server, found in results.queues.items():
            if share in found:
                point, depths = found[share]
                for axes, samples in ((queue, depths.samples), (outside, point.behind)):
                    times, waiting = [at for at, _ in samples], [number for _, number in samples]
                    colour = _STYLES[server]["color"]
                    axes.plot(times, waiting, label=server, color=colour, linewidth=1)
        queue.set_title(f"at {share:.0%}: requests in the work queue", loc="left", fontsize=9)
        outside.set_title("that could not be sent yet", loc="left", fontsize=9)
        for axes in (queue, outside):
            axes.set_ylim(bottom=0)
            _plain(axes)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    _legend(figure, grid[0, 0])
    return figure


def _isolation(results: Results) -> Figure:
    heavies = list(dict.fromkeys(heavy for found in results.isolation.values() for heavy in found))
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    width = _BARS / len(results.isolation)
    for place, (server, found) in enumerate(results.isolation.items()):
        offset = (place - (len(results.isolation) - 1) / 2) * width
        bars = axes.bar(
            [number + offset for number in range(len(heavies))],
            [found[heavy].p99 for heavy in heavies],
            width * 0.92,
            label=server,
            color=_STYLES[server]["color"],
        )
        axes.bar_label(bars, fmt="%.3g", fontsize=7, padding=1)
    axes.set_xticks(range(len(heavies)), [f"beside {heavy}" for heavy in heavies])
    axes.set_yscale("log")
    axes.set_ylabel("p99 of the others, ms")
    axes.margins(y=0.15)
    _plain(axes)
    _legend(figure, axes)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
