"""Commands that run scripts and functions, and those about them."""

from __future__ import annotations

from tendis_py.commands.scripting import evaluate, fcall, functions, script

FAMILIES = (evaluate, script, fcall, functions)
