"""DEBUG: what tests of servers and of clients ask for."""

from __future__ import annotations

from tendis_py.commands.debug import command, data, protocol, store, switches, values

FAMILIES = (command, data, protocol, store, switches, values)
