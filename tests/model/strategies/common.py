"""Pieces of random commands: few keys, telling values, numbers on the edge, options at odds."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from hypothesis import strategies as st

Request = list[bytes]
Part = st.SearchStrategy[bytes] | st.SearchStrategy[list[bytes]] | bytes

NEAR = "near"


@dataclass(frozen=True, slots=True)
class Family:
    """``commands``: name → requests. ``comparisons``: name → a transcript's marks (``%`` without
    order, ``~`` shape only), or NEAR for numbers that time changes; exact when it is not there.
    ``seeds``: requests that give an example something to begin with."""

    commands: dict[str, st.SearchStrategy[Request]]
    comparisons: dict[str, str] = field(default_factory=dict)
    seeds: list[Request] = field(default_factory=list)
    of_a_type: bool = False
    """Whether the commands are those of one data type, which test_types.py runs by itself."""


def command(name: str, *parts: Part) -> st.SearchStrategy[Request]:
    """Requests for ``name``: each part is one argument, several, or a constant. Now and then one
    argument is missing or too many."""
    drawn = [st.just(part) if isinstance(part, bytes) else part for part in parts]
    whole = st.tuples(*drawn).map(lambda found: [name.encode(), *_flat(found)])
    maimed = whole.map(lambda request: request[:-1] if len(request) > 1 else [*request, b"x"])
    longer = whole.map(lambda request: [*request, b"x"])
    return st.integers(0, 29).flatmap(
        lambda dice: maimed if dice == 29 else longer if dice == 28 else whole
    )


def rarely(strategy: st.SearchStrategy[Request]) -> st.SearchStrategy[Request]:
    """One in ten; else something harmless."""
    harmless = command("PING", value)
    return st.integers(0, 9).flatmap(lambda dice: strategy if dice == 9 else harmless)


def _flat(parts: tuple[bytes | list[bytes], ...]) -> list[bytes]:
    return [argument for part in parts for argument in (part if isinstance(part, list) else [part])]


def words(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


def one_of(text: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from(words(text))


key = st.sampled_from([*[b"a", b"b", b"c", b"d"] * 3, b"", b"\0\xff", b"key:1", b"key:2"])
keys = st.lists(key, min_size=1, max_size=4)

integer = one_of(
    "0 1 -1 2 3 5 10 -10 100 255 9223372036854775807 -9223372036854775808 4611686018427387904"
)
bad_integer = one_of(
    "abc 1.5 01 +1 -0 1e3 0x10 9223372036854775808 -9223372036854775809"
) | st.sampled_from([b"", b" 1", b"1 "])
any_integer = st.integers(0, 9).flatmap(lambda dice: bad_integer if dice == 9 else integer)
"""Mostly right."""

real = one_of("0 1 -1 1.5 -0.5 0.1 3.14159 1e3 -2.5e-3 1e17 100 5.0e3 inf -inf 17179869184.5")
bad_real = st.sampled_from([*words("abc nan 1e400 1,5 0x1p3 1e"), b"", b" 1", b"1 "])
any_real = st.integers(0, 9).flatmap(lambda dice: bad_real if dice == 9 else real)

value = st.one_of(
    integer,
    any_real,
    st.binary(max_size=12),
    st.sampled_from([b"", b"hello", b"\r\n", b"x" * 44, b"y" * 45, b"z" * 300, b"0" * 20]),
)
offset = one_of("0 1 2 -1 -2 5 -5 43 44 45 100 -100 9223372036854775807 -9223372036854775808")
database = one_of("0 1 1 9 15 16 -1 x")
pattern = one_of("* a* ?ey:* key:[12] [^a] \\a x* [a-c] key:?") | st.sampled_from([b"", b"\0*"])

seconds = one_of("100 1000 100000 0 -1 1 9223372036854775 9223372036854775807 x 1.5")
"""Far away, past, or wrong; 1 is long enough not to end within an example."""
milliseconds = one_of("100000 1000000 0 -1 9223372036854775807 -9223372036854775808 x")
apart = one_of("0 -1 x") | st.integers(2_000_000, 10**9).map(b"%d".__mod__)
"""Times from now for GT, which hardly ever come up twice: whether the same number sets a later
deadline than a moment before is a matter of a millisecond."""
unix_seconds = one_of("4102444800 4102444801 1 0 -1 9223372036854775 9223372036854775807 x")
unix_milliseconds = one_of("4102444800000 4102444800001 1 0 -1 9223372036854775807 x")


def options(*choices: Part) -> st.SearchStrategy[list[bytes]]:
    """Some of ``choices`` (a flag, or a flag with its arguments), in any order and any case,
    sometimes twice or at odds with each other."""
    drawn = [
        (st.just([part]) if isinstance(part, bytes) else part.map(_listed)) for part in choices
    ]
    some = st.lists(st.one_of(drawn), max_size=3).map(lambda found: list(chain(*found)))
    return st.one_of(st.just([]), st.one_of(drawn), some, some.map(_lower))


def _listed(part: bytes | list[bytes]) -> list[bytes]:
    return part if isinstance(part, list) else [part]


def _lower(arguments: list[bytes]) -> list[bytes]:
    return [argument.lower() for argument in arguments]


def together(*parts: Part) -> st.SearchStrategy[list[bytes]]:
    """Parts that belong together, as an option and its argument."""
    drawn = [st.just(part) if isinstance(part, bytes) else part for part in parts]
    return st.tuples(*drawn).map(_flat)


EXPIRIES = (
    together(b"EX", seconds),
    together(b"PX", milliseconds),
    together(b"EXAT", unix_seconds),
    together(b"PXAT", unix_milliseconds),
)
"""The options of SET and GETEX that set a deadline."""
