"""Commands on strings."""

from __future__ import annotations

from tendis_py.commands.string import counter, lcs, values

FAMILIES = (values, counter, lcs)
