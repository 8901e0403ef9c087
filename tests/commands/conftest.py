"""What the real server says of its commands, asked once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.documentation import as_pairs
from tests.support.resp import Aggregate
from tests.support.servers import ServerProcess


@pytest.fixture(scope="session")
def table(redis_server: ServerProcess) -> dict[str, list[Any]]:
    """Commands and subcommands by name, each as COMMAND INFO has it in RESP3."""
    with redis_server.client(protocol=3) as client:
        return {row[0].decode(): row for row in _rows(client.value("COMMAND"))}


def _rows(entries: list[list[Any]]) -> Iterator[list[Any]]:
    for entry in entries:
        yield entry
        if entry[9] != Aggregate("~", []):
            yield from _rows(entry[9])


@pytest.fixture(scope="session")
def manual(redis_server: ServerProcess) -> dict[str, dict[str, Any]]:
    """COMMAND DOCS in RESP3 by name, subcommands included."""
    with redis_server.client(protocol=3) as client:
        return dict(_pages(client.value("COMMAND", "DOCS")))


def _pages(entries: Aggregate) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in as_pairs(entries):
        page = {key.decode(): value for key, value in as_pairs(entry)}
        yield name.decode(), page
        if "subcommands" in page:
            yield from _pages(page["subcommands"])
