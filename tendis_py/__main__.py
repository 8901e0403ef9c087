"""The command line: ``tendis-py [CONFIG_FILE] [--directive value …]``, as redis-server's, and the
subcommands beside it.

What an action needs is imported when it is asked for: ``tendis-py top`` loads no storage engine,
and a server no screen.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tendis_py.config import (
    ConfigError,
    Invocation,
    help_text,
    load_config,
    parse_command_line,
    version_text,
)
from tendis_py.config.subcommands import SUBCOMMANDS


def main(argv: list[str] | None = None) -> int:
    """Do what the command line asks for; the process's exit code."""
    try:
        invocation = parse_command_line(sys.argv[1:] if argv is None else argv)
        match invocation.action:
            case "help":
                print(help_text())
                return 0
            case "version":
                print(version_text())
                return 0
            case "check":
                return _check(Path(invocation.checked_folder))
            case "subcommand":
                return _run_subcommand(invocation)
            case "serve":
                return _serve(invocation)
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _serve(invocation: Invocation) -> int:
    config = load_config(invocation, sys.stdin.buffer if invocation.from_stdin else None)
    from tendis_py.serving import run_server

    return run_server(config)


def _check(folder: Path) -> int:
    from tendis_py.storage.check import check_folder, data_folder
    from tendis_py.types.checks import INSPECTORS

    return check_folder(data_folder(folder), INSPECTORS, print)


def _run_subcommand(invocation: Invocation) -> int:
    subcommand = SUBCOMMANDS[invocation.subcommand]
    try:
        module = importlib.import_module(subcommand.module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "tendis_py":
            raise
        print(
            f"tendis-py {invocation.subcommand} needs {error.name}, which is not installed: "
            f"pip install 'tendis-py[{subcommand.extra}]'",
            file=sys.stderr,
        )
        return 1
    try:
        code: int = module.main(list(invocation.arguments))
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
