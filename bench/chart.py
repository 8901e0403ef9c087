"""The picture of a comparison: throughput of each model as a share of redis-server's.

The only module that needs matplotlib (the `bench` extra). It knows ratios, not how they were found.
"""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.redis_benchmark import Cell

# Okabe and Ito: told apart by colour-blind readers too.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


def draw(ratios: Mapping[Cell, Mapping[str, float]], path: Path) -> None:
    """Write an SVG: a panel for each test and pipeline, a group of bars for each client count."""
    panels = list(dict.fromkeys((cell.test, cell.pipeline) for cell in ratios))
    figure = Figure(figsize=(9, 2.6 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), sharey=True, squeeze=False)
    for axes, (test, pipeline) in zip(grid[:, 0], panels, strict=True):
        chosen = {
            cell.clients: shares
            for cell, shares in ratios.items()
            if (cell.test, cell.pipeline) == (test, pipeline)
        }
        axes.set_title(f"{test}, pipeline {pipeline}", loc="left", fontsize=10)
        _draw_panel(axes, chosen)
    # The panel of PING has the bare loop more than the others.
    legends = [axes.get_legend_handles_labels() for axes in grid[:, 0]]
    handles, names = max(legends, key=lambda legend: len(legend[1]))
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _draw_panel(axes: Axes, by_clients: Mapping[int, Mapping[str, float]]) -> None:
    models = list(next(iter(by_clients.values())))
    width = 0.8 / len(models)
    for place, (model, colour) in enumerate(zip(models, _COLOURS, strict=False)):
        offset = (place - (len(models) - 1) / 2) * width
        bars = axes.bar(
            [group + offset for group in range(len(by_clients))],
            [shares[model] for shares in by_clients.values()],
            width * 0.92,
            label=model,
            color=colour,
        )
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=1)
    axes.axhline(1.0, color="#444444", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xticks(range(len(by_clients)), [f"{clients} clients" for clients in by_clients])
    axes.set_ylabel("redis-server = 1", fontsize=8)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
