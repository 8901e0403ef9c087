"""The arguments of ``tendis-py top``."""

from __future__ import annotations

import argparse


def main(arguments: list[str]) -> int:
    """Watch a server; the process's exit code."""
    parser = argparse.ArgumentParser("tendis-py top", description="Watch a server, live.")
    parser.add_argument("address", metavar="HOST:PORT", nargs="?", default="127.0.0.1:6379")
    try:
        parser.parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
