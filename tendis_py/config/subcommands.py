"""The subcommands of ``tendis-py``, by name.

Role: a table, for the command line and for ``--help``.
May import: nothing of the package.
Does not know: what a subcommand does; its module is imported when it is asked for.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subcommand:
    """``module`` has ``main(arguments) -> exit code``, which reads its own arguments (``-h``, too)
    and may need what ``extra`` of the package installs."""

    module: str
    extra: str
    arguments: str
    help: str


SUBCOMMANDS = {
    "load": Subcommand(
        "tendis_py.load.command_line", "load", "HOST:PORT …", "put load on a server, and measure"
    ),
    "top": Subcommand(
        "tendis_py.top.command_line", "top", "HOST:PORT …", "watch a server, live in the terminal"
    ),
}
"""A configuration file of one of these names is reached by its path, as ``./top``."""
