"""The commands: one module per family, each declaring into ``registry.REGISTRY``."""

from __future__ import annotations

from tendis_py.commands import string
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.requests import Request

FAMILIES = (string,)


def may_write(request: Request) -> bool:
    """Whether a request's command is declared to write."""
    command = REGISTRY.lookup(request[0])
    return command is not None and command.writes
