"""What Redis' manual says of its commands and our declarations do not: from which version on there
is what, what has replaced it, and what each argument is called.

COMMAND DOCS has it from ``redis_manual.json``, which ``docs/redis_manual.py`` has written.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tendis_py.resp.replies import OrderedSet, Reply

FILE = Path(__file__).with_name("redis_manual.json")

_NO_TEXT = ("oneof", "block")
"""Kinds of arguments that are shown by their parts alone."""
_IN_SETS = ("flags", "doc_flags")
_IN_ORDER = (
    *("name", "type", "display_text", "key_spec_index", "token", "summary", "since"),
    *("deprecated_since", "flags", "arguments"),
)
"""Of an argument, as Redis has it."""

Page = dict[bytes, Reply]


def page(name: str) -> Page | None:
    """What COMMAND DOCS says of ``name`` besides its declaration; None of commands that are not
    Redis'."""
    found = _pages().get(name)
    if found is None:
        return None
    return {
        field.encode(): (
            list(map(_argument, value)) if field == "arguments" else _value(field, value)
        )
        for field, value in found.items()
    }


@cache
def _pages() -> dict[str, dict[str, Any]]:
    pages: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return pages


def _argument(found: dict[str, Any]) -> dict[bytes, Reply]:
    if found["type"] not in _NO_TEXT:
        found = {"display_text": found["name"], **found}
    return {
        field.encode(): (
            list(map(_argument, found[field]))
            if field == "arguments"
            else _value(field, found[field])
        )
        for field in _IN_ORDER
        if field in found
    }


def _value(field: str, value: Any) -> Reply:
    if field in _IN_SETS:
        return OrderedSet(value)
    if field == "history":
        return OrderedSet([since.encode(), text.encode()] for since, text in value)
    return value if isinstance(value, int) else value.encode()
