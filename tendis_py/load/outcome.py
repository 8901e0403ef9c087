"""What a run has found, as plain figures and HDR histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hdrh.histogram import HdrHistogram

from tendis_py.load.generator import Generator
from tendis_py.load.tally import Counts, Stretch, by_kind

ALL = "all"
PERCENTS = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "p99.99": 99.99}
_LONGEST_US = 3_600_000_000
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """``histograms`` of latencies in µs, by command and of ``ALL``; ``services`` of the time from
    sending on, where that is another (open loop). ``in_time``: replies within ``seconds``."""

    plan: Mapping[str, Any]
    seconds: float
    in_time: int
    answered: int
    errors: Mapping[str, tuple[int, str]]
    """Code → how many, and the first as it came."""
    lost: int
    unanswered: int
    pushes: int
    bytes_in: int
    bytes_out: int
    cpu_seconds: float
    failure: str
    histograms: Mapping[str, HdrHistogram]
    services: Mapping[str, HdrHistogram]
    course: Sequence[Stretch]

    @property
    def rate(self) -> float:
        return self.in_time / self.seconds if self.seconds else 0.0

    @property
    def busy(self) -> float:
        """The part of the time that the generator itself worked."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; histograms in HdrHistogram's own encoding besides."""
        return {
            "plan": dict(self.plan),
            "seconds": self.seconds,
            "requests": self.answered,
            "requests_per_second": self.rate,
            "errors": {
                code: {"count": count, "example": example}
                for code, (count, example) in self.errors.items()
            },
            "lost": self.lost,
            "unanswered": self.unanswered,
            "pushes": self.pushes,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "failure": self.failure,
            "generator": {
                "cpu_seconds": self.cpu_seconds,
                "busy": self.busy,
                "cpu_us_per_request": self.cpu_seconds / max(self.in_time, 1) * 1e6,
            },
            "latency_us": {name: figures(found) for name, found in self.histograms.items()},
            "service_us": {name: figures(found) for name, found in self.services.items()},
            "course": [asdict(second) for second in self.course],
            "histogram": self.histograms[ALL].encode().decode(),
        }


def outcome_of(generator: Generator, names: Sequence[str], plan: Mapping[str, Any]) -> Outcome:
    """What a generator has found that has run."""
    tally = generator.tally
    return Outcome(
        plan,
        generator.elapsed,
        generator.in_time,
        tally.answered,
        {code: (error.count, error.example) for code, error in tally.errors.items()},
        tally.lost,
        tally.unanswered,
        tally.pushes,
        tally.bytes_in,
        tally.bytes_out,
        generator.cpu_seconds,
        generator.failure,
        histograms_of(tally.latencies, names),
        histograms_of(tally.services, names),
        tally.course,
    )


def figures(histogram: HdrHistogram) -> dict[str, float]:
    """Count, mean, percentiles and the largest, in µs."""
    total = histogram.get_total_count()
    if not total:
        return {"count": 0, "mean": 0.0, **dict.fromkeys(PERCENTS, 0), "max": 0}
    return {
        "count": total,
        "mean": histogram.get_mean_value(),
        **{name: histogram.get_value_at_percentile(percent) for name, percent in PERCENTS.items()},
        "max": histogram.get_max_value(),
    }


def histograms_of(counts: Counts, names: Sequence[str]) -> dict[str, HdrHistogram]:
    """One for each name that occurs, and one of all."""
    found = {ALL: _empty()}
    for kind, us, amount in sorted(by_kind(counts)):
        for name in (names[kind], ALL):
            if name not in found:
                found[name] = _empty()
            found[name].record_value(min(max(us, 1), _LONGEST_US), amount)
    return found


def _empty() -> HdrHistogram:
    return HdrHistogram(1, _LONGEST_US, _DIGITS)
