"""Writes the pages that are generated: ``python -m docs.build``. A test fails when one is stale."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tendis_py import REDIS_VERSION
from tendis_py.commands.registry import REGISTRY, Command
from tendis_py.config import reference_markdown
from tendis_py.http.families import metrics_markdown

HERE = Path(__file__).parent

_GROUP_TITLES = {
    "generic": "Keys",
    "sorted-set": "Sorted sets",
    "hyperloglog": "HyperLogLog",
    "sortedint": "Sorted integers",
    "pubsub": "Pub/sub",
}


def commands_markdown() -> str:
    """The page of supported commands, from the registry."""
    lines = [
        "# Supported commands",
        "",
        f"Generated from the command registry by `python -m docs.build`. Behaviour, replies and "
        f"error texts are those of Redis {REDIS_VERSION}; the origin of what it does not have is "
        "named.",
    ]
    found = sorted(REGISTRY.all(), key=lambda command: (command.group, command.name))
    for group, commands in groupby(found, key=lambda command: command.group):
        title = _GROUP_TITLES.get(group, group.capitalize())
        lines += ["", f"## {title}", "", "| command | what it does | complexity | lane |"]
        lines += ["|---|---|---|---|", *map(_row, commands)]
    return "\n".join(lines) + "\n"


def _row(command: Command) -> str:
    name = command.name.replace("|", " ").upper()
    syntax = f" {command.docs_syntax}" if command.docs_syntax else ""
    usage = f"{name}{syntax}".replace("|", "\\|")
    origin = f" ({command.origin or command.newer})" if command.origin or command.newer else ""
    what = f"{command.summary}{origin}"
    return f"| `{usage}` | {what} | {command.complexity} | {command.lane.value} |"


PAGES = {
    "commands.md": commands_markdown,
    "configuration.md": reference_markdown,
    "metrics.md": metrics_markdown,
}


def main() -> None:
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
