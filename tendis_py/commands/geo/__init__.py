"""Commands on places."""

from __future__ import annotations

from tendis_py.commands.geo import places, search

FAMILIES = (places, search)
