"""Commands on strings."""

from __future__ import annotations

from tendis_py.commands.string import counter, lcs, matching, msetex, values

FAMILIES = (values, matching, msetex, counter, lcs)
