"""Which stage is the bottleneck, why, and what to change: from an Observation alone.

``diagnose`` is pure. Each check (``delays``, ``strains``) looks for one cause, and knows when its
figures are worth a mention; how much it weighs decides what is said first. A wait that follows
from something else (a queue behind a slow disk) weighs less than that. Knows nothing of where the
figures come from.
"""

from __future__ import annotations

from collections.abc import Sequence

from tendis_py.services.doctor import delays, strains
from tendis_py.services.doctor.case import SECONDS, WORDS, Case
from tendis_py.services.observation import Finding, Observation
from tendis_py.services.quantities import percent

NOTHING = "none"


def diagnose(observation: Observation) -> list[Finding]:
    """What is wrong, the worst first; one finding, with the cause NOTHING, when all is well."""
    case = Case(observation)
    found = [weighed for check in (*delays.CHECKS, *strains.CHECKS) for weighed in check(case)]
    if not found:
        return [_nothing_wrong(case)]
    return [finding for _, finding in sorted(found, key=lambda weighed: -weighed[0])]


def bottleneck(observation: Observation) -> str:
    """The stage that takes most of the requests' time, of the last ten seconds; "" without any.
    Whoever names one asks here, so that all say the same."""
    return Case(observation).longest


def shares(observation: Observation) -> dict[str, float]:
    """Stage → part of the requests' time of the last ten seconds that it takes, its PARTS left out:
    they add up to 1, unless nothing was done."""
    case = Case(observation)
    return {stage: case.share(stage) for stage in case.own_ns}


def report(findings: Sequence[Finding]) -> str:
    """Findings in lines of text, as STAGES DOCTOR shows them."""
    if findings[0].cause == NOTHING:
        return f"{findings[0].seen}\n"
    lines = []
    for number, finding in enumerate(findings, 1):
        lines.append(f"{number}. {finding.cause} (stage {finding.stage}): {finding.seen}")
        lines.append(f"   What to change: {finding.advice}")
    return "\n".join(lines) + "\n"


def _nothing_wrong(case: Case) -> Finding:
    stage = case.longest
    seen = (
        f"Nothing is wrong: {case.observation.requests_per_second:.0f} requests/s; most of their "
        f"time, {percent(case.share(stage))}, is {WORDS.get(stage, stage)} ({case.of(stage)})."
        if stage
        else f"Nothing is wrong, and no request was answered in the last {SECONDS} seconds."
    )
    return Finding(NOTHING, stage, case.share(stage), seen, "")
