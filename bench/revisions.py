"""Two commits of tendis-py in one run: `--before REV` of the benchmarks that know it.

The server of the working copy goes by its model's name; that of the commit before it by the same
name with "before". Both are measured in every round, so a change is a ratio within a round, as a
ratio to redis-server is. This module does not know what is measured.
"""

import argparse
import contextlib
import io
import math
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.report import Goal
from bench.servers import REDIS, ROOT, Server

FALL = 0.03
"""By how much a figure may get worse, as a share of what it was before."""


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--before",
        type=commit,
        metavar="REV",
        help="measure this commit of tendis-py, too, and the change since",
    )


def commit(revision: str) -> str:
    """The short hash of a revision; the type of an option, so that a wrong one is told at once."""
    name = f"{revision}^{{commit}}"
    found = _git("rev-parse", "--verify", "--short", "--end-of-options", name)
    if found.returncode:
        raise argparse.ArgumentTypeError(f"{revision!r} is not a commit")
    # --end-of-options itself is printed by some versions of git.
    return found.stdout.decode().split()[-1]


def kind(name: str, before: str | None) -> str:
    """The kind of a result: one of two commits does not replace the plain one of the same day."""
    return name if before is None else f"{name}-before-after"


def before_name(model: str) -> str:
    """The name of the server that runs this model as it was before."""
    return f"{model} before"


@contextlib.contextmanager
def tree(revision: str) -> Iterator[Path]:
    """The files of a commit in a directory of their own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tendis-bench-tree-") as name:
        directory = Path(name).resolve()
        packed = _git("archive", "--format=tar", revision)
        if packed.returncode:
            raise SystemExit(packed.stderr.decode())
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(directory, filter="data")
        _check_imports(directory, revision)
        yield directory


def _check_imports(directory: Path, revision: str) -> None:
    """An installed package that won over the tree would be compared with itself, unnoticed."""
    script = "import tendis_py; print(tendis_py.__file__)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode or not Path(done.stdout.strip()).resolve().is_relative_to(directory):
        raise SystemExit(f"commit {revision} has no tendis_py that can be run\n{done.stderr}")


@contextlib.contextmanager
def running(models: Sequence[str], before: str | None, *directives: str) -> Iterator[list[Server]]:
    """Run redis-server and each model; where `before` names a commit, each model of that, too."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(servers.running(REDIS, *directives))]
        old = None if before is None else stack.enter_context(tree(before))
        for model in models:
            if old is not None:
                label = before_name(model)
                run = servers.running(model, *directives, tree=old, label=label)
                found.append(stack.enter_context(run))
            found.append(stack.enter_context(servers.running(model, *directives)))
        yield found


@dataclass(frozen=True, slots=True)
class Change:
    """One figure before and after, a value for each round; a pair is of the same round."""

    before: Sequence[float]
    after: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median over the rounds of after divided by before."""
        return statistics.median(self._ratios())

    @property
    def excess(self) -> float:
        """The median over the rounds of what is above the fall allowed, where more is worse; in
        the figure's unit, and negative where nothing is."""
        pairs = zip(self.before, self.after, strict=True)
        return statistics.median(after - (1 + FALL) * before for before, after in pairs)

    def columns(self, digits: int = 0) -> list[str]:
        """Cells of a table under `header`."""
        ratios = self._ratios()
        medians = (statistics.median(self.before), statistics.median(self.after))
        return [
            *(f"{median:,.{digits}f}" for median in medians),
            f"{statistics.median(ratios):.3f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
        ]

    def _ratios(self) -> list[float]:
        pairs = zip(self.before, self.after, strict=True)
        return [after / before if before else math.nan for before, after in pairs]


def header(figure: str) -> tuple[str, ...]:
    """The columns of a `Change`: medians of the rounds, then the rounds' ratios."""
    return (f"{figure} before", "after", "ratio", "rounds")


def rate_goal(name: str, change: Change) -> Goal:
    """The goal of a rate: that it has not fallen by more than `FALL`."""
    return Goal(f"{name}, after / before", 1 - FALL, change.ratio, at_least=True, digits=3)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
