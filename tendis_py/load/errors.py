"""What ends a run with a sentence instead of a traceback."""

from __future__ import annotations


class LoadError(Exception):
    """The command line asks for what can't be, or the server can't be reached; says which."""
