"""Writes tendis_py/commands/redis_manual.json: ``python -m docs.redis_manual``.

Asks the real redis-server of the tests for COMMAND DOCS, and keeps what our declarations do not
say. A test fails when the file is not what that server says, but for ``ADDED``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tendis_py.commands.manual import FILE
from tests.support.resp import Aggregate, Simple
from tests.support.servers import redis_process, running

KEPT = ("doc_flags", "deprecated_since", "replaced_by", "history", "arguments")

Added = tuple[str, list[dict[str, Any]]]

ADDED: dict[tuple[str, ...], Added] = {
    ("set", "condition"): (
        "",
        [
            {"name": f"{token.lower()}-{what}", "type": "string", "token": token, "since": "8.4.0"}
            for token, what in (
                ("IFEQ", "value"),
                ("IFNE", "value"),
                ("IFDEQ", "digest"),
                ("IFDNE", "digest"),
            )
        ],
    ),
    ("xreadgroup",): (
        "noack",
        [
            {
                "name": "min-idle-time",
                "type": "integer",
                "token": "CLAIM",
                "since": "8.4.0",
                "flags": ["optional"],
            }
        ],
    ),
    **{
        (name, "aggregate"): (
            "",
            [{"name": "count", "type": "pure-token", "token": "COUNT", "since": "8.8.0"}],
        )
        for name in ("zunion", "zunionstore", "zinter", "zinterstore")
    },
}
"""Arguments of later versions, by the command and the argument that they are parts of: those that
stand before the one of that name, or at the end."""


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running(redis_process(Path(folder))) as server,
        server.client(protocol=3) as client,
    ):
        found = dict(pages(plain(client.value("COMMAND", "DOCS"))))
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Decoded RESP3 as JSON has it: sets are lists, and all strings are alike."""
    if isinstance(value, Aggregate):
        items = list(map(plain, value.items))
        return dict(zip(items[::2], items[1::2], strict=True)) if value.marker == "%" else items
    if isinstance(value, list):
        return list(map(plain, value))
    if isinstance(value, Simple):
        return value.text
    return value.decode() if isinstance(value, bytes) else value


def pages(entries: dict[str, Any]) -> Any:
    """(name, what is kept of it) of commands and subcommands; of modules nothing."""
    for name, entry in entries.items():
        kept = {field: entry[field] for field in KEPT if field in entry}
        if kept and "module" not in entry:
            if "arguments" in kept:
                kept["arguments"] = _arguments((name,), kept["arguments"])
            yield name, kept
        yield from pages(entry.get("subcommands", {}))


def _arguments(path: tuple[str, ...], arguments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the text to display where that is the name, as it is for nearly all."""
    found = []
    before, added = ADDED.get(path, ("", []))
    for argument in arguments:
        if argument["name"] == before:
            found += added
        kept = {
            field: value
            for field, value in argument.items()
            if field != "display_text" or value != argument["name"]
        }
        if "arguments" in kept:
            kept["arguments"] = _arguments((*path, argument["name"]), kept["arguments"])
        found.append(kept)
    return found if before else found + added


if __name__ == "__main__":
    main()
