"""tendis-py with its measuring taken out of the hot path, to tell what that costs.

A copy of the package, in which the statements of DROPPED are gone and the clock is not asked: what
is left serves as before, and knows nothing of how long it took. A statement that is not found any
more is an error, so that the copy does not come to measure unnoticed.
"""

import ast
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.servers import ROOT

PACKAGE = "tendis_py"
EVERYTHING = ("",)
"""A function that does nothing else."""

Functions = Mapping[str, Sequence[str]]
"""Name of a function, with its class → how the statements to drop begin, as ``ast`` writes them."""

DROPPED: Mapping[str, Functions] = {
    "dispatch.py": {
        "Dispatcher._run_plain": (
            *("ran = ", "all_buckets = ", "slow_ns = ", "started = ", "now = ", "elapsed = "),
            *("step = ", "buckets = ", "buckets[", "ran(", "if elapsed > "),
        ),
        "Dispatcher.call": (),
        "Dispatcher._count": EVERYTHING,
        "Dispatcher.note_apart": EVERYTHING,
    },
    "runs.py": {"Runs.take_within": (), "Runs._count": EVERYTHING},
    "stages/execute.py": {
        "Executor.execute": ("if not batch.taken",),
        "Executor.execute_round": ("batch.taken = ", "for batch in batches:\n    batch.executed"),
        "Executor._run": (
            *("batch.pool = ", "read_before = ", "batch.started = ", "dispatcher = "),
            *("if dispatcher.ran", "if dispatcher.runs.ran", "if batch.started >= "),
            *("batch.executed = ", "batch.engine_ns = ", "times = ", "times."),
        ),
        "Executor._look": EVERYTHING,
        "Executor._finish": ("logged = ", "committed = ", "batch.logged = ", "batch.committed = "),
    },
    "stages/pool.py": {
        "ExecutorPool._one_by_one": ("began = ", "executor.times.busy_ns"),
        "ExecutorPool._do_round": ("began = ", "executor.times.busy_ns"),
    },
    "stages/reactor.py": {
        "Reactor.run": ("times = ", "times.busy_ns"),
        "Reactor._turn": ("if ready:\n    self._turns_to_arrival",),
        "Reactor._respond": ("batch.replied = ", "batch.written = ", "self._times.record("),
    },
    "stages/waiting.py": {"Waiting._note_pending": EVERYTHING},
    "stages/work.py": {"WorkQueue._put": ("if not (work.queued",)},
    "stages/listening.py": {"_prepare": ("stamp_arrivals(",)},
    "storage/engine.py": {
        "Engine.get": ("started = ", "self.reads.ns"),
        "Engine.get_many": ("started = ", "self.reads.ns"),
    },
    "storage/gaps.py": {"iterate": ("reads.ns",)},
    "maintenance.py": {"Maintenance._sample": ("if samples % ",)},
}
"""Module → functions of the hot path that measure."""


class UnmeasuredError(Exception):
    """The package is not as DROPPED has it."""


@contextlib.contextmanager
def tree() -> Iterator[Path]:
    """The package of the working copy, without measuring, in a directory that is gone
    afterwards."""
    with tempfile.TemporaryDirectory(prefix="tendis-unmeasured-") as name:
        directory = Path(name).resolve()
        package = directory / PACKAGE
        shutil.copytree(ROOT / PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        for module, functions in DROPPED.items():
            path = package / module
            path.write_text(without(path.read_text(), functions, module))
        yield directory


def without(source: str, functions: Functions, module: str = "") -> str:
    """The source of a module in which these functions do not measure."""
    parsed = ast.parse(source)
    found = _functions(parsed)
    for name, beginnings in functions.items():
        if name not in found:
            raise UnmeasuredError(f"{module} has no {name}")
        stripper = _Stripper(beginnings)
        stripper.visit(found[name])
        if missing := set(beginnings) - stripper.used:
            raise UnmeasuredError(f"{name} of {module} has no {sorted(missing)}")
    return ast.unparse(ast.fix_missing_locations(parsed)) + "\n"


def _functions(parsed: ast.Module) -> dict[str, ast.AST]:
    """The functions of a module and of its classes, by name."""
    found: dict[str, ast.AST] = {}
    for node in parsed.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                found[prefix + member.name] = member
    return found


class _Stripper(ast.NodeTransformer):
    """Drops statements that begin so, and has the clock say 0; ``used`` are the beginnings that
    were met."""

    def __init__(self, beginnings: Sequence[str]) -> None:
        self._beginnings = tuple(beginnings)
        self.used: set[str] = set()

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                kept = [one for one in block if not self._drops(one)]
                setattr(node, name, kept or [ast.Pass()])
        return super().generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "perf_counter_ns":
            return ast.Constant(0)
        return self.generic_visit(node)

    def _drops(self, statement: ast.stmt) -> bool:
        written = ast.unparse(statement)
        for beginning in self._beginnings:
            if written.startswith(beginning):
                self.used.add(beginning)
                return True
        return False
