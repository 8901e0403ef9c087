"""HELP subcommands: the reply that all of them have in common."""

from __future__ import annotations


def help_lines(container: str, *subcommands: tuple[str, str]) -> list[str]:
    """The reply to ``CONTAINER HELP``: a heading, then (syntax, explanation) of each subcommand;
    either may have several lines. HELP itself is added."""
    lines = [f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for syntax, explanation in (*subcommands, ("HELP", "Print this help.")):
        lines += syntax.splitlines()
        lines += [f"    {line}" for line in explanation.splitlines()]
    return lines
