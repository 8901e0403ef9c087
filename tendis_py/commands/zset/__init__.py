"""Commands on sorted sets."""

from __future__ import annotations

from tendis_py.commands.zset import algebra, members, ranges

FAMILIES = (members, ranges, algebra)
