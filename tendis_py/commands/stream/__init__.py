"""Commands on streams."""

from __future__ import annotations

from tendis_py.commands.stream import entries, groups, info, pending

FAMILIES = (entries, groups, info, pending)
