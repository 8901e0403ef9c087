"""An outcome as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tendis_py.load.outcome import ALL, PERCENTS, Outcome, figures

_BUSY = 0.9
"""From this part of the time on the generator may be what limits the run."""


def text_of(outcome: Outcome) -> str:
    """The report of a run."""
    lines = [
        _plan_line(outcome.plan),
        f"{outcome.in_time:,} requests in {outcome.seconds:.2f} s: {outcome.rate:,.0f} requests/s",
        f"{_size(outcome.bytes_out)} sent, {_size(outcome.bytes_in)} received",
        "",
        *_table(outcome),
    ]
    rate = outcome.plan.get("rate")
    if rate:
        share = outcome.rate / rate
        lines += ["", f"Of {rate:,.0f} requests/s asked for, {share:.1%} were answered in time."]
    lines += ["", _errors_line(outcome)]
    lines += [
        f"  {code:<12} {count:>12,}  {_one_line(example)}"
        for code, (count, example) in sorted(outcome.errors.items(), key=lambda item: -item[1][0])
    ]
    if outcome.lost:
        lines.append(f"{outcome.lost:,} requests were lost with their connections.")
    if outcome.unanswered:
        lines.append(
            f"{outcome.unanswered:,} requests had no answer when the run was given up; "
            "they are counted with the time that they had waited."
        )
    if outcome.pushes:
        lines.append(f"{outcome.pushes:,} messages were pushed.")
    per_request = outcome.cpu_seconds / max(outcome.in_time, 1) * 1e6
    lines.append(f"The generator took {per_request:.1f} µs a request, {outcome.busy:.0%} of a CPU.")
    if outcome.busy > _BUSY:
        lines.append("It was busy nearly all the time: the server may be faster than this says.")
    if outcome.failure:
        lines += ["", f"The run did not go as planned: {outcome.failure}."]
    return "\n".join(lines)


def _plan_line(plan: Mapping[str, Any]) -> str:
    loop = f"{plan['rate']:,.0f} requests/s, {plan['arrivals']}" if plan["rate"] else "closed loop"
    return (
        f"{plan['target']}: {plan['connections']:,} connections, pipeline {plan['pipeline']:,}, "
        f"{loop}"
    )


def _table(outcome: Outcome) -> list[str]:
    columns = ("mean", *PERCENTS, "max")
    rows = [("latency, ms", "requests", *columns)]
    commands = sorted(name for name in outcome.histograms if name != ALL)
    for name in [*(commands if len(commands) > 1 else []), ALL]:
        found = figures(outcome.histograms[name])
        title = name if len(commands) != 1 else commands[0]
        rows.append((title, f"{found['count']:,.0f}", *(_ms(found[column]) for column in columns)))
    if outcome.services[ALL].get_total_count():
        found = figures(outcome.services[ALL])
        row = (f"{found['count']:,.0f}", *(_ms(found[column]) for column in columns))
        rows.append(("since sent", *row))
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _errors_line(outcome: Outcome) -> str:
    total = sum(count for count, _ in outcome.errors.values())
    if not total:
        return "No errors."
    return f"{total:,} errors ({total / max(outcome.answered, 1):.1%} of the replies):"


def _one_line(text: str) -> str:
    return text[:100].replace("\r", " ").replace("\n", " ")


def _ms(us: float) -> str:
    return f"{us / 1000:.3f}"


def _size(amount: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"
