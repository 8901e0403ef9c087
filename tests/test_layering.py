"""Imports point one way (docs/design.md §2): a module knows only what stands to its right.

    __main__ → serving → server → threading_model → stages → dispatch → commands
    → rdb → types → storage

``services`` and ``session`` stand beside: dispatch, commands and stages use them. Subcommands
(``load``, ``top``) are programs of their own, which know a server by its protocol only.
Imports that only the type checker reads count as any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "tendis_py").rglob("*.py"))

LEAVES = {"errors", "glob", "numbers", "pieces"}
"""Modules that import nothing of the package."""

MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"serving", "types", "storage", "config"},
    "serving": {"server", "interpreter", "config", "log", *LEAVES},
    "top": {"config", *LEAVES},
    "load": {"config", *LEAVES},
    "interpreter": LEAVES,
    "pidfile": set(),
    "server": {
        *("threading_model", "maintenance", "stages", "commands", "types", "services", "storage"),
        *("http", "traces", "pidfile", "config", "log", *LEAVES),
    },
    "http": {"stages", "services", "config", "log", *LEAVES},
    "traces": {"services", "log", *LEAVES},
    "threading_model": {"stages"},
    "maintenance": {"services", "storage", *LEAVES},
    "stages": {
        "dispatch",
        "runs",
        "commands",
        "services",
        "session",
        "storage",
        "resp",
        "config",
        *LEAVES,
    },
    "dispatch": {
        *("runs", "gates", "unblocking", "commands", "services", "session", "storage", "resp"),
        *LEAVES,
    },
    "unblocking": {"commands", "services", "storage", "resp", *LEAVES},
    "runs": {"commands", "services", "session", "resp", *LEAVES},
    "gates": {"commands", "session", "resp", *LEAVES},
    "scripting": {"storage", "resp", *LEAVES},
    "commands": {
        *("rdb", "scripting", "types", "storage", "services", "session", "resp", "config", "log"),
        *LEAVES,
    },
    "rdb": {"types", "storage", *LEAVES},
    "types": {"storage", *LEAVES},
    "services": {"session", "storage", "resp", "config", "log", *LEAVES},
    "session": {"resp", *LEAVES},
    "storage": LEAVES,
    "resp": LEAVES,
    "config": LEAVES,
    "log": {"config"},
    **{leaf: set() for leaf in LEAVES},
}
"""First part of a module's name → what it may import besides itself."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "rocksdict": ("storage.engine", "storage.gaps", "storage.options"),
    "hiredis": ("resp", "load", "top"),
    "crcmod": ("rdb",),
    "textual": ("top",),
    "rich": ("load", "top"),
    "trio": ("serving", "interpreter", "server", "maintenance", "stages", "http", "load", "top"),
    "socket": ("server", "stages", "http", "load"),
    "lupa": ("scripting",),
    "select": ("stages", "load"),
    "asyncio": (),
    "starlette": ("http",),
    "hypercorn": ("http",),
    "prometheus_client": ("http.metrics",),
    "opentelemetry": ("traces",),
}
"""Outside package → the modules that may import it."""

NOT_FOR: dict[str, tuple[str, ...]] = {"storage.engine": ("commands", "types", "dispatch")}
"""Module of the package → layers that may not import it, though they may import its neighbours."""


def imports(source: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything that ``source`` imports."""
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        else:
            pending += ast.iter_child_nodes(node)


def complaints(module: str, source: str) -> list[str]:
    """What ``module`` (its name without the package) imports and may not."""
    layer = module.partition(".")[0]
    found = []
    for line, name in imports(source):
        package, _, inner = name.partition(".")
        if package == "tendis_py":
            wrong = _wrong_inside(layer, inner)
        else:
            homes = ONLY_IN.get(package)
            wrong = homes is not None and not any(
                f"{module}.".startswith(f"{home}.") for home in homes
            )
        if wrong:
            found.append(f"{module}:{line} imports {name}")
    return found


def _wrong_inside(layer: str, inner: str) -> bool:
    target = inner.partition(".")[0]
    if target not in MAY_IMPORT:
        return not target.startswith("__version") and not target.isupper()  # tendis_py's own names
    if target != layer and target not in MAY_IMPORT[layer]:
        return True
    return any(
        f"{inner}.".startswith(f"{private}.") and layer in layers
        for private, layers in NOT_FOR.items()
    )


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT / "tendis_py").with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_point_to_the_right(path: Path) -> None:
    name = module_name(path)
    if name == "__init__":
        assert list(imports(path.read_text())) == [], "the package itself imports nothing"
        return
    assert name.partition(".")[0] in MAY_IMPORT, f"{name} has no place in the layering yet"
    assert complaints(name, path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("types.string", "from tendis_py.resp.replies import OK"),
        ("types.string", "from tendis_py.services import Services"),
        ("types.string", "import tendis_py.commands.string"),
        ("types.stream.groups", "from tendis_py.commands.stream import groups"),
        ("storage.keyspace", "from tendis_py.types import string"),
        ("storage.keyspace", "from rocksdict import Rdict"),
        ("commands.string", "from tendis_py.storage.engine import Engine"),
        ("commands.string", "from tendis_py.storage import engine"),
        ("commands.string", "import trio"),
        ("services.clients", "import socket"),
        ("services.clients", "from tendis_py.dispatch import Dispatcher"),
        ("resp.requests", "from tendis_py.session import Session"),
        ("dispatch", "from tendis_py.stages.work import Batch"),
        ("stages.work", "from tendis_py import server"),
        ("commands.server", "def f():\n    from tendis_py.stages.work import Batch"),
        ("stages.work", "from tendis_py.newcomer import thing"),
        ("types.string", "if TYPE_CHECKING:\n    from tendis_py.session import Session"),
    ],
)
def test_imports_to_the_left_are_found(module: str, statement: str) -> None:
    assert len(complaints(module, statement)) == 1


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("commands.string.values", "from tendis_py.types.string import values as strings"),
        ("stages.work", "from tendis_py import REDIS_VERSION, __version__"),
        ("storage.engine", "from rocksdict import Rdict"),
        ("storage.keyspace", "from tendis_py.storage.engine import Engine"),
        ("stages.reactor", "import trio, socket, select"),
    ],
)
def test_imports_to_the_right_are_fine(module: str, statement: str) -> None:
    assert complaints(module, statement) == []
