"""What every benchmark's result has in common: percentiles, goals, tables, and the result files.

Results may be published: they name the commit and the versions, never the host or a path of it.
"""

import datetime
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import ROOT, redis_command

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise and what was measured; `value` is None when this run did not measure it."""

    name: str
    limit: float
    value: float | None
    unit: str = ""
    at_least: bool = False
    digits: int = 2

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        kept = self.value >= self.limit if self.at_least else self.value < self.limit
        return "pass" if kept else "FAIL"


def percentile(ordered: Sequence[int], percent: float) -> int:
    """The smallest sample, of an ascending list, that `percent` % of them do not exceed."""
    rank = -(-len(ordered) * round(percent * 1000) // 100_000)
    return ordered[max(rank, 1) - 1]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns padded so that it reads well on a terminal too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def goal_table(goals: Iterable[Goal]) -> str:
    return table(
        ("goal", "limit", "measured", "verdict"),
        [
            (
                goal.name,
                f"{'>=' if goal.at_least else '<'} {goal.limit:g}{goal.unit}",
                "-" if goal.value is None else f"{goal.value:.{goal.digits}f}{goal.unit}",
                goal.verdict,
            )
            for goal in goals
        ],
    )


def metadata(before: str | None = None) -> dict[str, str | int]:
    """Where a result comes from: date, commit, CPU count, and the versions of both sides.

    `before` is the commit that this one was compared with.
    """
    version = _output(redis_command(0, "", "")[0], "--version")
    found = re.search(r"v=(\S+)", version)
    commit = _output("git", "rev-parse", "--short", "HEAD") or "none"
    changed = _output("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit + ("+changes" if changed else ""),
        **({} if before is None else {"before": before}),
        "cpus": os.cpu_count() or 1,
        "python": platform.python_version(),
        "redis-server": found[1] if found else "unknown",
    }


def publish(
    kind: str,
    out: Path,
    sections: Mapping[str, str],
    goals: Sequence[Goal],
    data: Mapping[str, object],
    before: str | None = None,
) -> None:
    """Print the report and write `<date>-<kind>.md` and `.json` to `out`."""
    origin = metadata(before)
    facts = ", ".join(f"{name} {fact}" for name, fact in origin.items())
    parts = [f"# {kind}", facts]
    for title, text in {**sections, "Goals": goal_table(goals)}.items():
        parts += [f"## {title}", text]
    document = "\n\n".join(parts) + "\n"
    verdicts = [
        {"name": goal.name, "limit": goal.limit, "value": goal.value, "verdict": goal.verdict}
        for goal in goals
    ]
    stem = result_stem(kind, out)
    stem.with_suffix(".md").write_text(document)
    record = {"kind": kind, "origin": origin, "goals": verdicts, **data}
    stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(document)


def result_stem(kind: str, out: Path) -> Path:
    """The path, without its suffix, of today's result of this kind; makes the directory."""
    out.mkdir(parents=True, exist_ok=True)
    return out / f"{datetime.date.today().isoformat()}-{kind}"


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
