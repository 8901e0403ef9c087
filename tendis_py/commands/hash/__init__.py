"""Commands on hashes."""

from __future__ import annotations

from tendis_py.commands.hash import expiry, values

FAMILIES = (values, expiry)
