"""Users in files: the aclfile, and the ``user`` lines of a configuration.

Role: text in, definitions out, with Redis' words for what is wrong. Pure but for its callers.
"""

from __future__ import annotations

from collections.abc import Sequence

from tendis_py.config.syntax import Line, encode
from tendis_py.services.acl.rules import (
    CommandTable,
    Definition,
    Fault,
    RuleError,
    UnmatchedError,
    has_blanks,
    merged,
)

DEFAULT = b"default"

_UNCHANGED = (
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
)


class FileError(Exception):
    """What is wrong with an ACL file, all of it, in one line."""


def read_users(
    data: bytes, path: str, table: CommandTable, *, all_channels: bool
) -> dict[bytes, Definition]:
    """The users that an ACL file defines. FileError."""
    users: dict[bytes, Definition] = {}
    errors: list[str] = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.strip(b" \t\r")
        if not line:
            continue
        keyword, *words = line.split(b" ")
        place = f"{path}:{number}"
        if keyword != b"user" or not words:
            errors.append(f"{place} should start with user keyword followed by the username. ")
            continue
        name, *rules = words
        if has_blanks(name):
            errors.append(f"'{place}: username '{_text(name)}' contains invalid characters. ")
        elif name in users:
            errors.append(f"WARNING: Duplicate user '{_text(name)}' found on line {number}. ")
        else:
            users[name] = Definition(all_channels=all_channels)
            errors += _apply(users[name], rules, place, table)
    if errors:
        raise FileError("".join(errors) + _UNCHANGED)
    return users


def _apply(user: Definition, rules: Sequence[bytes], place: str, table: CommandTable) -> list[str]:
    try:
        whole = list(merged(rules))
    except UnmatchedError:
        return [f"{place}: Unmatched parenthesis in selector definition."]
    errors: list[str] = []
    said = False
    for rule in whole:
        rule = rule.strip(b"\t\r\n")
        try:
            user.apply(rule, table)
        except RuleError as error:
            if error.fault is Fault.UNKNOWN:
                operation = _text(rule)
                errors.append(f"{place}: Error in applying operation '{operation}': {error}. ")
            elif not said:  # it may be why others are wrong
                said = True
                errors.append(f"{place}: {error}. ")
    return errors


def configured_users(
    lines: Sequence[Line], table: CommandTable, *, all_channels: bool
) -> dict[bytes, Definition]:
    """The users that the ``user`` lines of a configuration define. ConfigError, which names the
    line."""
    users: dict[bytes, Definition] = {}
    for line in lines:
        name, *rules = map(encode, line.words[1:])
        if name in users:
            raise line.error(_wrong(name, Fault.DUPLICATE.value))
        try:
            whole = list(merged(rules))
        except UnmatchedError as error:
            raise line.error(_wrong(rules[error.index], "Unmatched parenthesis")) from None
        if has_blanks(name):
            raise line.error("Spaces not allowed in ACL usernames")
        try:
            users[name] = Definition(all_channels=all_channels).changed(
                whole, table, all_channels=all_channels
            )
        except RuleError as error:
            raise line.error(_wrong(error.rule, str(error))) from None
    return users


def _wrong(rule: bytes, reason: str) -> str:
    return f"Error in user declaration '{_text(rule)}': {reason}"


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
