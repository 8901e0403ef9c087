"""Redis' glob patterns, read once and matched many times.

Role: what KEYS, SCAN, PSUBSCRIBE, ACL and CONFIG GET mean by a pattern.
May import: the standard library only.
Does not know: what it matches; a subject is bytes, be it a key, a channel or a directive.

The semantics are those of ``stringmatchlen`` in Redis' util.c, taken apart into *runs* between
stars; each element of a run consumes exactly one byte. Three details are kept on purpose: ``[^`` or
``[a`` without a closing bracket runs to the end of the pattern; a range compares *signed* bytes, as
Redis does where C's ``char`` is signed; and a pattern with more than MAX_NESTING stars that
something follows matches nothing. One is not: the pattern ``*`` matches the empty subject too,
since KEYS and SCAN answer ``*`` without asking the matcher.

A pattern comes from a client and may be as long as a request, while compiling a regular expression
takes 13 µs a byte. So only short patterns become one; others are read in tokens, no further than
the longest subject so far could reach: 100 KB of pattern cost less than a millisecond against
ordinary keys.
"""

import re
import sys
from collections.abc import Callable, Iterator

__all__ = ["MAX_NESTING", "compile_glob", "literal_prefix"]

MAX_NESTING = 1000
SHORT = 48
"""Bytes of a pattern that may become a regular expression: 0.1 ms to compile at the worst that
people write, 1 ms at the worst there is, and then a quarter of the time a subject."""

_CHUNK = 512
_IN_CLASS = rb"[^\]\\-]+(?!-)|(?:\\.)++|(?:[^\]\\]-.)++|[^\]]"
"""Bytes that stand for themselves, escaped ones, ranges; or a byte that is part of neither."""

_TOKEN = re.compile(
    rb"(?P<stars>\*+)"
    rb"|(?P<bytes>[^*\[\\]{1,%(chunk)d}+)"
    rb"|(?P<escapes>(?:\\.){1,%(chunk)d}+)"
    rb"|\[(?P<class>\^?(?:%(in_class)b)*+)\]?"
    rb"|(?P<last>\\)" % {b"chunk": _CHUNK, b"in_class": _IN_CLASS},
    re.DOTALL,
)
_CLASS_PARTS = re.compile(_IN_CLASS, re.DOTALL)

_PREFIX = re.compile(rb"(?:[^*?\[\\]++|\\.|\[\\.\]|\[[^\]\\^]\]){0,32}+", re.DOTALL)
_SPELLED_OTHERWISE = re.compile(rb"\\(.)|\[\\(.)\]|\[(.)\]", re.DOTALL)

_ESCAPE = ord("\\")
_NO, _YES = b"01"
_ONLY = [b"0" * byte + b"1" + b"0" * (255 - byte) for byte in range(256)]
"""The *table* of each byte alone: a YES at each byte that is accepted."""

_YESES = re.compile(b"1+")
_OPPOSITE = bytes.maketrans(b"01", b"10")
_SIGN = bytes(byte ^ 0x80 for byte in range(256))
"""Where each byte comes in the order of signed ones."""

_LOWER = bytes(range(256)).lower()

_FEW_PIECES = 16
_TRIES = 32


def compile_glob(pattern: bytes, *, ignore_case: bool = False) -> Callable[[bytes], bool]:
    """Return the predicate of ``pattern``: whole subject in, whether it matches out. It is for one
    thread, as it may go on reading the pattern.

    No star is ever tried again: each run between stars is taken where it first fits. Where it
    consists of bytes alone, finding that is linear; else it takes len(run) operations on integers
    of len(subject) bits at the worst.
    """
    literal = pattern.strip(b"*")
    if not literal:
        return _only_stars(pattern)
    if ignore_case or any(special in literal for special in (b"*", b"?", b"[", b"\\")):
        matcher = _Matcher(pattern, ignore_case)
        return matcher.compiled() if len(pattern) <= SHORT else matcher.matches
    return _plain(literal, pattern.startswith(b"*"), pattern.endswith(b"*"))


def literal_prefix(pattern: bytes) -> bytes:
    """Return bytes with which every match of ``pattern`` (matched with case) starts: all of them,
    unless many are spelled as ``\\x`` or ``[x]``."""
    found = _PREFIX.match(pattern)
    assert found is not None
    return _SPELLED_OTHERWISE.sub(lambda spelled: spelled[spelled.lastindex or 0], found[0])


def _only_stars(pattern: bytes) -> Callable[[bytes], bool]:
    if pattern == b"*":
        return lambda subject: True
    if not pattern:
        return b"".__eq__
    return bool  # for Redis they do not match the empty subject


def _plain(literal: bytes, starts: bool, ends: bool) -> Callable[[bytes], bool]:
    """Return a C-speed predicate for ``literal``, ``prefix*``, ``*suffix``, ``*infix*``."""
    if starts and ends:
        return lambda subject: literal in subject
    if starts:
        return lambda subject: subject.endswith(literal)
    if ends:
        return lambda subject: subject.startswith(literal)
    return literal.__eq__


def _unescaped(text: bytes) -> bytes:
    """The bytes of a token of escapes, or of a last backslash, which stands for itself."""
    return text[1::2] or text


# Classes


def _class_table(text: bytes, ignore_case: bool) -> bytes:
    """The table of what is between the brackets of a class: a YES or NO for each byte."""
    fold = _LOWER if ignore_case else bytes(range(256))
    fold_signed = fold[128:].translate(_SIGN) + fold[:128].translate(_SIGN)
    negated = text.startswith(b"^")
    accepted = 0  # a bit for each byte, in the order of signed ones
    escaped = set()
    for part in set(_CLASS_PARTS.findall(text, negated)):
        if part[0] == _ESCAPE and len(part) > 1:
            escaped.update(part[1::2])  # Redis compares them with case even when ignoring it
        elif part[1:2] == b"-":
            firsts, lasts = part[::3].translate(_SIGN), part[2::3].translate(_SIGN)
            for first, last in set(zip(firsts, lasts, strict=True)):
                low, high = (first, last) if first <= last else (last, first)
                low, high = fold_signed[low], fold_signed[high]
                if low <= high:
                    accepted |= (2 << high) - (1 << low)
        else:
            for byte in set(part.translate(_SIGN)):
                accepted |= 1 << fold_signed[byte]
    by_sign = format(accepted, "0256b")[::-1].encode()
    table = by_sign[128:] + by_sign[:128]
    if ignore_case:
        table = _LOWER.translate(table)
    if escaped:
        table = bytes(_YES if byte in escaped else table[byte] for byte in range(256))
    return table.translate(_OPPOSITE) if negated else table


def _set_expression(table: bytes) -> bytes:
    """The regular expression of a table."""
    ranges = [b"\\x%02x-\\x%02x" % (it.start(), it.end() - 1) for it in _YESES.finditer(table)]
    return b"[%b]" % b"".join(ranges) if ranges else b"(?!)"


# Runs


class _Run:
    """What is between two stars: pieces of literal bytes and classes, at offsets; bytes at which
    there is neither may be any. Literals are compared with the folded subject, in lower case where
    case is ignored, classes with the subject as it is."""

    __slots__ = ("anchor", "classes", "length", "literals", "tries")

    def __init__(self) -> None:
        self.length = 0
        self.literals: list[tuple[int, bytes]] = []
        self.classes: list[tuple[int, bytes]] = []
        self.anchor = (0, b"")
        """The longest literal."""
        self.tries = 1
        """Places at which `first` looks one by one, before it looks at all at once."""

    def add_literal(self, literal: bytes) -> None:
        if self.literals:
            offset, last = self.literals[-1]
            if offset + len(last) == self.length:
                self.literals.pop()
                self.length, literal = offset, last + literal
        self.literals.append((self.length, literal))
        self.length += len(literal)

    def add_class(self, table: bytes) -> None:
        self.classes.append((self.length, table))
        self.length += 1

    def add_bytes(self, text: bytes) -> None:
        """Literals with ``?`` between them."""
        first, *others = text.split(b"?")
        if first:
            self.add_literal(first)
        for literal in others:
            self.length += 1
            if literal:
                self.add_literal(literal)

    def close(self) -> None:
        """Nothing is added any more."""
        self.anchor = max(self.literals, key=lambda piece: len(piece[1]), default=self.anchor)
        if len(self.literals) + len(self.classes) <= _FEW_PIECES:
            self.tries = _TRIES

    def fits(self, subject: bytes, folded: bytes, at: int) -> bool:
        """Whether it matches at ``at``, where the subject has ``length`` bytes."""
        for offset, literal in self.literals:
            if not folded.startswith(literal, at + offset):
                return False
        return all(table[subject[at + offset]] == _YES for offset, table in self.classes)

    def first(self, subject: bytes, folded: bytes, at: int, end: int) -> int:
        """The first place between ``at`` and ``end`` where it matches, or -1."""
        offset, anchor = self.anchor
        anchor_end = end - self.length + offset + len(anchor)
        for _ in range(self.tries):
            at = folded.find(anchor, at + offset, anchor_end) - offset
            if at < 0:
                return -1
            if self.fits(subject, folded, at):
                return at
            at += 1
        return self._first_at_once(subject, folded, at, end)

    def _first_at_once(self, subject: bytes, folded: bytes, at: int, end: int) -> int:
        """As `first`: all places are tried at once, each being a bit of ``left``. How many of them
        are promising makes no difference, so that no pattern and subject take long together."""
        count = end - at - self.length + 1
        if count <= 0:
            return -1
        left = (1 << count) - 1
        for window, tables in (
            (folded[at:end], self._literal_tables()),
            (subject[at:end], iter(self.classes)),
        ):
            backwards = window[::-1]
            seen: dict[bytes, int] = {}
            for offset, table in tables:
                bits = seen.get(table)
                if bits is None:
                    bits = seen[table] = int(backwards.translate(table), 2)
                left &= bits >> offset
                if not left:
                    return -1
        return at + (left & -left).bit_length() - 1

    def expression(self, ignore_case: bool) -> bytes:
        """The regular expression of it."""
        parts = {place: _set_expression(table) for place, table in self.classes}
        for offset, literal in self.literals:
            for place, byte in enumerate(literal, offset):
                if ignore_case:
                    parts[place] = _set_expression(_LOWER.translate(_ONLY[byte]))
                else:
                    parts[place] = re.escape(literal[place - offset : place - offset + 1])
        return b"".join([parts.get(place, b".") for place in range(self.length)])

    def _literal_tables(self) -> Iterator[tuple[int, bytes]]:
        for offset, literal in self.literals:
            for place, byte in enumerate(literal, offset):
                yield place, _ONLY[byte]


class _Matcher:
    """A pattern, as far as it has been read."""

    __slots__ = ("_ignore_case", "_least", "_runs", "_single", "_tables", "_tokens")

    def __init__(self, pattern: bytes, ignore_case: bool) -> None:
        self._tokens: Iterator[re.Match[bytes]] | None = _TOKEN.finditer(pattern)
        """None when all has been read."""
        self._ignore_case = ignore_case
        self._runs = [_Run()]
        self._single = False
        """Whether there is no star; known when all has been read."""
        self._tables: dict[bytes, bytes] = {}
        self._least = 0
        """Bytes that a match of what has been read has at least."""

    def matches(self, subject: bytes) -> bool:
        size = len(subject)
        if self._tokens is not None and self._least <= size:
            self._read(size)
        if self._least > size:
            return False
        folded = subject.lower() if self._ignore_case else subject
        if self._single:
            return size == self._least and self._runs[0].fits(subject, folded, 0)
        head, *middle, tail = self._runs
        if not head.fits(subject, folded, 0):
            return False
        end = size - tail.length
        if not tail.fits(subject, folded, end):
            return False
        at = head.length
        for run in middle:
            at = run.first(subject, folded, at, end)
            if at < 0:
                return False
            at += run.length
        return True

    def compiled(self) -> Callable[[bytes], bool]:
        """As `matches`, by a regular expression that can't backtrack over a star it has passed."""
        self._read(sys.maxsize)
        first, *rest = [run.expression(self._ignore_case) for run in self._runs]
        if self._single:
            source = first
        else:
            middle = b"".join(b"(?>.*?%b)" % run for run in rest[:-1] if run)
            source = first + middle + b".*" + rest[-1]
        found = re.compile(source, re.DOTALL).fullmatch
        return lambda subject: found(subject) is not None

    def _read(self, enough: int) -> None:
        """Read on, until no subject of ``enough`` bytes can match, or to the end."""
        assert self._tokens is not None
        runs = self._runs
        for token in self._tokens:
            run = runs[-1]
            if token.lastgroup == "stars":
                runs.append(_Run())
                continue
            before = run.length
            self._add(run, token)
            self._least += run.length - before
            if len(runs) > MAX_NESTING + 1:
                self._least = sys.maxsize
            if self._least > enough:
                return
        self._tokens = None
        self._single = len(runs) == 1
        for run in runs:
            run.close()

    def _add(self, run: _Run, token: re.Match[bytes]) -> None:
        if token.lastgroup == "class":
            spelled = token["class"]
            table = self._tables.get(spelled)
            if table is None:
                table = self._tables[spelled] = _class_table(spelled, self._ignore_case)
            run.add_class(table)
            return
        text = token[0].lower() if self._ignore_case else token[0]
        if token.lastgroup == "bytes":
            run.add_bytes(text)
        else:
            run.add_literal(_unescaped(text))
