"""Random commands, one module per family. A family is what another one has to add.

Only commands that tendis-py has are drawn, so a family may be written before its commands.
"""

from __future__ import annotations

from hypothesis import strategies as st

import tendis_py.commands  # declares them  # noqa: F401
from tendis_py.commands.registry import REGISTRY
from tests.model.strategies import (
    bitmap,
    expire,
    geo,
    hash,
    hyperloglog,
    keys,
    server,
    set,
    sort,
    stream,
    string,
    zset,
)
from tests.model.strategies import list as lists
from tests.model.strategies.common import Family, Request

FAMILIES: list[Family] = [
    string.FAMILY,
    bitmap.FAMILY,
    hyperloglog.FAMILY,
    lists.FAMILY,
    keys.FAMILY,
    expire.FAMILY,
    server.FAMILY,
    hash.FAMILY,
    set.FAMILY,
    zset.FAMILY,
    geo.FAMILY,
    sort.FAMILY,
    stream.FAMILY,
]


def _drawn() -> list[st.SearchStrategy[Request]]:
    return [
        strategy
        for family in FAMILIES
        for name, strategy in family.commands.items()
        if name in REGISTRY.commands
    ]


COMMANDS: st.SearchStrategy[Request] = st.one_of(_drawn())
"""Any command of any family."""

SEEDS: list[Request] = [
    seed
    for family in FAMILIES
    for seed in family.seeds
    if seed[0].decode().lower() in REGISTRY.commands
]
"""Requests of which some are run before the commands of an example."""

COMPARISONS: dict[str, str] = {
    name: marks for family in FAMILIES for name, marks in family.comparisons.items()
}
"""Command name → how its replies are compared (see ``common.Family``)."""
