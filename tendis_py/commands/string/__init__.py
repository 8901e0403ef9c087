"""Commands on strings."""

from __future__ import annotations

from tendis_py.commands.string import counter, increx, lcs, matching, msetex, values

FAMILIES = (values, matching, msetex, counter, increx, lcs)
