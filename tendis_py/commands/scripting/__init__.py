"""Commands that run scripts, and those about scripts."""

from __future__ import annotations

from tendis_py.commands.scripting import evaluate, script

FAMILIES = (evaluate, script)
