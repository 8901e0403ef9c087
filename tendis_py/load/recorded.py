"""Requests from a file: what MONITOR has shown, or a command a line in redis-cli's quoting.

They are replayed in the file's order, from its beginning again when it ends, dealt to whichever
connection is free. A transaction, MULTI to EXEC of one client, stays together on one connection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tendis_py.config.syntax import split_words
from tendis_py.load.errors import LoadError
from tendis_py.load.templates import refuse_uncounted
from tendis_py.load.wire import encode

_MONITOR = re.compile(rb'\+?\d+\.\d+ \[\d+ (.*?)\] (".*)', re.DOTALL)
_OTHERS = "(others)"
_MOST_NAMES = 4000
_LEFT_OUT = frozenset((b"WATCH", b"UNWATCH"))
"""They would watch for a connection whose EXEC another client recorded."""
_ENDS = (b"EXEC", b"DISCARD")

Words = list[bytes]


@dataclass(slots=True)
class Recording:
    """``groups`` of requests that stay together; ``skipped``: why → how many lines."""

    groups: list[list[Words]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def read_recording(lines: Iterable[bytes], where: str) -> Recording:
    """Raises LoadError, with the line's number, for one that is no command."""
    recording = Recording()
    open_groups: dict[bytes, list[Words]] = {}
    for number, line in enumerate(lines, 1):
        line = line.rstrip(b"\r\n")
        if not line.strip() or line.startswith(b"#") or (number == 1 and line in (b"OK", b"+OK")):
            continue
        found = _MONITOR.fullmatch(line)
        client = b"" if found is None else found[1]
        if client == b"lua":
            recording.skipped["called by scripts"] += 1
            continue
        try:
            words = split_words(line if found is None else found[2])
            if not words or not words[0]:
                raise ValueError
        except ValueError:
            raise LoadError(f"{where}:{number}: not a command: {_shown(line)}") from None
        _add(recording, open_groups, client, words)
    recording.skipped["transactions without an end"] += sum(map(len, open_groups.values()))
    recording.skipped += Counter()  # keeps what is above 0
    if not recording.groups:
        raise LoadError(f"{where}: no command that can be replayed")
    return recording


def _add(
    recording: Recording, open_groups: dict[bytes, list[Words]], client: bytes, words: Words
) -> None:
    name = words[0].upper()
    try:
        refuse_uncounted(words)
    except LoadError:
        recording.skipped[name.decode()] += 1
        return
    if name in _LEFT_OUT:
        recording.skipped[name.decode()] += 1
    elif client in open_groups:
        open_groups[client].append(words)
        if name in _ENDS:
            recording.groups.append(open_groups.pop(client))
    elif name == b"MULTI":
        open_groups[client] = [words]
    elif name in _ENDS:
        recording.skipped["transactions without a beginning"] += 1
    else:
        recording.groups.append([words])


def _shown(line: bytes) -> str:
    text = line[:80].decode(errors="replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class Replay:
    """A source of recorded requests."""

    def __init__(self, recording: Recording) -> None:
        kinds: dict[str, int] = {}
        self._groups: list[tuple[bytes, list[int]]] = []
        for group in recording.groups:
            numbers = []
            for words in group:
                name = words[0].decode(errors="replace").upper()
                if name not in kinds and len(kinds) >= _MOST_NAMES:
                    name = _OTHERS
                numbers.append(kinds.setdefault(name, len(kinds)))
            self._groups.append((b"".join(map(encode, group)), numbers))
        self.names = list(kinds)
        self._at = 0

    def take(self, amount: int) -> tuple[bytes, list[int]]:
        requests: list[bytes] = []
        kinds: list[int] = []
        while len(kinds) < amount:
            request, numbers = self._groups[self._at]
            self._at = (self._at + 1) % len(self._groups)
            requests.append(request)
            kinds += numbers
        return b"".join(requests), kinds
