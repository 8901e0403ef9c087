"""From a command's syntax, as Redis' manual spells it, to the ``arguments`` of COMMAND DOCS.

``"key [NX | XX] [EX seconds | PERSIST] value [value ...]"``: a word in capitals (or without any
letters) is a token, any other an argument; a token that an argument follows belongs to it.
``[…]`` is optional, ``<…>`` groups, ``|`` separates alternatives, and what a bracket with ``...``
repeats may be given several times. redis-cli makes its hints of the outcome.

Knows nothing of commands. An argument's type follows from its name, where Redis always gives that
name the same one; otherwise it is a string, which hints accept anything for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

_TYPES = {
    name: kind
    for kind, names in {
        "key": "key key1 key2 newkey destination destkey source sourcekey src dst",
        "integer": "bits client-id count cursor db decrement destination-db frequency index index1 "
        "index2 len maxage milliseconds min-match-len ms num-matches numfields numids numkeys "
        "numlocal numreplicas offset port protover rank seconds ttl version weight",
        "double": "height latitude longitude radius score width",
        "pattern": "pattern",
        "unix-time": "unix-time-milliseconds unix-time-seconds",
    }.items()
    for name in names.split()
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of COMMAND DOCS. ``type`` is ``oneof`` or ``block`` where ``arguments`` are
    its parts, ``pure-token`` where there is only the token."""

    name: str
    type: str
    token: str = ""
    optional: bool = False
    multiple: bool = False
    repeats_token: bool = False
    arguments: tuple[Argument, ...] = ()


def parse(syntax: str) -> tuple[Argument, ...]:
    """The arguments that ``syntax`` spells. ValueError when it makes no sense."""
    parser = _Parser(re.findall(r"[\[\]<>|]|[^\s\[\]<>|]+", syntax))
    sequences = parser.alternatives("")
    if len(sequences) > 1:
        return (_choice(sequences),)
    return sequences[0]


Sequences = list[tuple[Argument, ...]]


class _Parser:
    def __init__(self, words: list[str]) -> None:
        self._words = [*words, ""]
        self._at = 0

    def _next(self) -> str:
        self._at += 1
        return self._words[self._at - 1]

    def alternatives(self, closing: str) -> Sequences:
        """What ``|`` separates up to ``closing``, which is taken too."""
        sequences: Sequences = []
        items: list[Argument] = []
        while (word := self._next()) != closing:
            if word == "|":
                sequences.append(_joined(items))
                items = []
            elif word == "[":
                self._bracket(items, sequences)
            elif word == "<":
                items.append(_choice(self.alternatives(">")))
            elif word in ("]", ">", ""):
                raise ValueError(f"{word!r} where {closing!r} is missing")
            else:
                items.append(_leaf(word))
        return [*sequences, _joined(items)]

    def _bracket(self, items: list[Argument], before: Sequences) -> None:
        """An optional part, or the repetition of what came last."""
        inner = self.alternatives("]")
        last = inner[-1]
        if not last or last[-1].name != "...":
            items.append(replace(_choice(inner), optional=True))
        elif len(inner) == 1:
            _repeat(items, last[:-1])
        elif [*before, _joined(items)] == [*inner[:-1], last[:-1]]:
            # [A | B [A | B ...]]: the alternatives so far may be repeated as a whole
            items[:] = [replace(_choice([*before, _joined(items)]), multiple=True)]
            before.clear()
        else:
            raise ValueError("repeats other alternatives than there are")


def _leaf(word: str) -> Argument:
    if word != "..." and word == word.upper():
        return Argument(word.lower(), "pure-token", word)
    return Argument(word, _TYPES.get(word, "string"))


def _joined(items: Sequence[Argument]) -> tuple[Argument, ...]:
    """Give each token to the argument that follows it."""
    joined: list[Argument] = []
    for item in items:
        before = joined[-1] if joined else None
        takes = not item.token and not item.optional and item.name != "..."
        if takes and before is not None and before.type == "pure-token" and _is_bare(before):
            joined[-1] = replace(item, token=before.token)
        else:
            joined.append(item)
    return tuple(joined)


def _is_bare(item: Argument) -> bool:
    return not item.optional and not item.multiple


def _choice(sequences: Sequences) -> Argument:
    parts = tuple(_block(sequence) for sequence in sequences)
    if len(parts) == 1:
        return parts[0]
    return Argument("-or-".join(part.name for part in parts), "oneof", arguments=parts)


def _block(items: tuple[Argument, ...]) -> Argument:
    if not items:
        raise ValueError("nothing between two separators")
    if len(items) == 1 and not items[0].optional:
        return items[0]
    return Argument("-".join(item.name for item in items), "block", arguments=items)


def _repeat(items: list[Argument], body: tuple[Argument, ...]) -> None:
    """Mark the last of ``items`` as repeatable, since ``body`` repeats them."""
    items[:] = _joined(items)
    count = len(body)
    repeated = tuple(items[-count:]) if count else ()
    if repeated == body:
        again = replace(_block(body), multiple=True, repeats_token=bool(body[0].token))
    elif repeated and (replace(repeated[0], token=""), *repeated[1:]) == body:
        again = replace(_block(body), multiple=True, token=repeated[0].token)
    else:
        raise ValueError("repeats something else than what is before it")
    items[-count:] = [again]
