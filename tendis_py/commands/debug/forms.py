"""The forms of DEBUG: the table that ``@form`` fills at each definition, for the command itself.

For Redis they are no subcommands: one command with one set of flags, and no entry in COMMAND INFO.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tendis_py.commands.context import Context
from tendis_py.resp.replies import Reply

Handler = Callable[[Context, list[bytes]], Reply]
Claims = Callable[[list[bytes]], "list[bytes] | None"]
"""Arguments → the keys to lock, None for all."""

ANY_NUMBER = 1 << 31


def no_keys(args: list[bytes]) -> list[bytes] | None:
    return []


def one_key(args: list[bytes]) -> list[bytes] | None:
    return args[2:3]


def all_keys(args: list[bytes]) -> list[bytes] | None:
    return None


@dataclass(frozen=True, slots=True)
class Form:
    """``lengths``: how many arguments it may have, DEBUG and its own name included."""

    handler: Handler
    lengths: range
    claims: Claims
    usage: str
    help: str


FORMS: dict[bytes, Form] = {}


def form(
    usage: str, *, most: int = 0, claims: Claims = no_keys, help: str
) -> Callable[[Handler], Handler]:
    """Declare a handler. ``usage``, as HELP shows it, is the name and arguments; those from the
    first bracket on may be left out. ``most`` is how many arguments there may be, where that is not
    what ``usage`` says. What has no ``help`` is not in HELP."""
    words = usage.split()
    name = words[0].lower().encode()
    needed = len(usage.partition("[")[0].split())

    def declare(handler: Handler) -> Handler:
        if name in FORMS:
            raise ValueError(f"DEBUG {words[0]} is declared twice")
        lengths = range(1 + needed, 1 + max(most, len(words)) + 1)
        FORMS[name] = Form(handler, lengths, claims, usage, help)
        return handler

    return declare
