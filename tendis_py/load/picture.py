"""A picture of an outcome. The only module that needs matplotlib."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tendis_py.load.outcome import ALL, Outcome

# Okabe and Ito: told apart by colour-blind readers too.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def draw(outcome: Outcome, path: Path) -> None:
    """Write latency by percentile and the course of the run; the format is by the suffix."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    by_percentile, course = figure.subplots(2)
    figure.suptitle(f"{outcome.plan['target']}: {outcome.rate:,.0f} requests/s", fontsize=11)
    _draw_percentiles(by_percentile, outcome)
    _draw_course(course, outcome)
    for axes in (by_percentile, course):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(path)


def _draw_percentiles(axes: Axes, outcome: Outcome) -> None:
    """Percentiles on a scale on which each further 9 has the same width."""
    counted = sorted(outcome.histograms.items(), key=lambda item: -item[1].get_total_count())
    for (name, histogram), colour in zip(counted, _COLOURS, strict=False):
        total = histogram.get_total_count()
        percents = [percent for percent in _steps() if (100 - percent) * total >= 100]
        axes.plot(
            [_nines(percent) for percent in percents],
            [histogram.get_value_at_percentile(percent) / 1000 for percent in percents],
            label=name,
            color=colour,
            linewidth=2 if name == ALL else 1,
        )
    axes.set_xticks([_nines(tick) for tick in _TICKS], [f"{tick:g} %" for tick in _TICKS])
    axes.set_yscale("log")
    axes.set_ylabel("latency, ms")
    axes.legend(frameon=False)


def _draw_course(axes: Axes, outcome: Outcome) -> None:
    ends = []
    end = 0.0
    for second in outcome.course:
        end += second.seconds
        ends.append(end)
    rates = [second.requests / second.seconds for second in outcome.course]
    axes.stairs(rates, [0.0, *ends], color=_COLOURS[0], label="requests/s")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests/s")
    other = axes.twinx()
    p99 = [second.p99_us / 1000 for second in outcome.course]
    other.plot(ends, p99, color=_COLOURS[5], label="p99, ms", marker=".")
    other.set_ylim(bottom=0)
    other.set_ylabel("p99, ms")
    handles, names = axes.get_legend_handles_labels()
    more_handles, more_names = other.get_legend_handles_labels()
    axes.legend(handles + more_handles, names + more_names, frameon=False, loc="lower right")


def _steps() -> list[float]:
    return [100 - 10 ** (2 - place / 20) for place in range(140)]


def _nines(percent: float) -> float:
    """0, 1 and 2 for 0, 90 and 99 %."""
    return 2 - math.log10(100 - percent)
