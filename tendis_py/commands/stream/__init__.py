"""Commands on streams."""

from __future__ import annotations

from tendis_py.commands.stream import entries, groups, info, nack, pending

FAMILIES = (entries, groups, info, nack, pending)
