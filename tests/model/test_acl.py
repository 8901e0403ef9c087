"""Users by random rules, on tendis-py and the real server: what each says of them, and lets them
do. The rules are half of them wrong, or make no sense after those before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.commands.registry import REGISTRY
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, running, tendis_process

one_of = st.sampled_from

_COMMANDS = (
    b"get set mget mset del exists rename copy append lpush blmpop zunionstore zadd xread sort eval"
    b" config config|get config|set client client|id select debug publish subscribe psubscribe ping"
    b" auth acl acl|whoami object object|encoding migrate restore bitfield georadius smove set|x"
    b" select|0 select|1 get|a config|foo config|get|x nosuch nosuch|x"
).split()
_CATEGORIES = (
    b"keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin"
    b" fast slow blocking dangerous connection transaction scripting all nosuch"
).split()
_PATTERNS = (b"*", b"a", b"a*", b"*b", b"?b", b"[ab]", b"", b"a\\*", b"(", b"a(", b"b)", b"a b")

_WORDS = (
    b"on off nopass resetpass reset allkeys resetkeys allchannels resetchannels allcommands"
    b" nocommands clearselectors sanitize-payload skip-sanitize-payload ON AllKeys foo ~* &*"
).split()

_words = st.one_of(
    one_of(_WORDS),
    st.builds(bytes.__add__, one_of((b">", b"<")), one_of((b"a", b"b", b""))),
    st.builds(
        bytes.__add__, one_of((b"#", b"!")), one_of((b"0" * 64, b"a" * 64, b"A" * 64, b"0" * 63))
    ),
)
_of_selectors = st.one_of(
    st.builds(bytes.__add__, one_of((b"+", b"-", b"+", b"+@", b"-@")), one_of(_COMMANDS)),
    st.builds(bytes.__add__, one_of((b"+@", b"-@")), one_of(_CATEGORIES)),
    st.builds(
        bytes.__add__,
        one_of((b"~", b"%R~", b"%W~", b"%rw~", b"%~", b"%RR~", b"%", b"&", b"&")),
        one_of(_PATTERNS),
    ),
)
_selector = st.lists(st.one_of(_of_selectors, _of_selectors, _words), max_size=4).map(
    lambda rules: b"(" + b" ".join(rules) + b")"
)
_rules = st.lists(st.one_of(_words, _of_selectors, _of_selectors, _selector), max_size=6)

_names = one_of((b"a", b"ab", b"b", b"bb", b"cb", b"c", b"", b"A"))
_number = one_of((b"1", b"2", b"0", b"x"))


def _request(*parts: Any) -> st.SearchStrategy[list[bytes]]:
    return st.tuples(*(st.just(it) if isinstance(it, bytes) else it for it in parts)).map(list)


_requests = st.one_of(
    _request(one_of((b"get", b"exists", b"del", b"incr", b"getdel", b"strlen", b"type")), _names),
    _request(one_of((b"mget", b"del", b"exists", b"touch", b"sinter")), _names, _names),
    _request(one_of((b"rename", b"copy", b"append", b"lpush", b"set")), _names, _names),
    _request(b"set", _names, b"1", one_of((b"get", b"nx", b"xx"))),
    _request(one_of((b"zunionstore",)), _names, _number, _names, _names),
    _request(b"bitfield", _names, one_of((b"get", b"incrby")), b"u8", b"0"),
    _request(b"xread", b"streams", _names, _names, b"0", b"0"),
    _request(b"sort", _names, one_of((b"by", b"store", b"get")), _names),
    _request(b"eval", b"x", _number, _names, _names),
    _request(b"blmpop", b"0", _number, _names, _names, b"left"),
    _request(b"georadius", _names, b"0", b"0", b"1", b"m", one_of((b"store", b"asc")), _names),
    _request(one_of((b"publish", b"spublish")), _names, b"x"),
    _request(one_of((b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe")), _names, _names),
    _request(b"psubscribe", one_of(_PATTERNS)),
    _request(one_of((b"select", b"debug", b"auth", b"swapdb")), _number),
    _request(one_of((b"config", b"client", b"acl", b"object")), one_of((b"get", b"id", b"whoami"))),
    _request(one_of((b"ping", b"nosuch", b"flushall", b"keys", b"get"))),
)


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """What rules mean is the same in all."""
    with running(tendis_process(tmp_path_factory.mktemp("acl"), model="redis")) as server:
        yield server


@pytest.fixture
def pair(one_model: ServerProcess, redis_server: ServerProcess) -> Iterator[list[RawClient]]:
    with one_model.client(protocol=3) as ours, redis_server.client(protocol=3) as theirs:
        for each in (ours, theirs):
            each.value(b"ACL", b"DELUSER", b"u", b"v")
        yield [ours, theirs]
        for each in (ours, theirs):
            each.value(b"ACL", b"DELUSER", b"u", b"v")


def _alike(pair: list[RawClient], requests: list[list[bytes]]) -> None:
    """Both servers answer alike, having been asked all at once."""
    ours, theirs = (client.pipeline(requests) for client in pair)
    for request, one, other in zip(requests, ours, theirs, strict=True):
        assert one == other, request


@pytest.mark.parametrize(
    "count", [pytest.param(60, id="short"), pytest.param(3000, id="long", marks=pytest.mark.soak)]
)
def test_users_are_what_the_real_server_makes_of_the_rules(
    pair: list[RawClient], count: int
) -> None:
    @settings(max_examples=count)
    @given(
        st.lists(st.tuples(one_of((b"u", b"u", b"v")), _rules), min_size=1, max_size=5),
        st.lists(_requests, max_size=25),
    )
    def compare(changes: list[tuple[bytes, list[bytes]]], requests: list[list[bytes]]) -> None:
        asked: list[list[bytes]] = [[b"ACL", b"DELUSER", b"u", b"v"]]
        for name, rules in changes:
            asked += [[b"ACL", b"SETUSER", name, *rules], [b"ACL", b"GETUSER", name]]
        asked.append([b"ACL", b"LIST"])
        asked += [[b"ACL", b"DRYRUN", b"u", *request] for request in requests]
        _alike(pair, asked)

    compare()


def test_categories_are_those_of_the_real_server(pair: list[RawClient]) -> None:
    ours, theirs = pair
    categories = theirs.value("ACL", "CAT")
    assert [it for it in ours.value("ACL", "CAT") if it in categories] == categories
    known = {command.name.encode() for command in REGISTRY.all()}
    for category in categories:
        wanted = set(theirs.value("ACL", "CAT", category)) & known
        found = set(ours.value("ACL", "CAT", category))
        assert found & set(_all_of(theirs)) == wanted, category


def _all_of(real: RawClient) -> list[bytes]:
    return [*real.value("ACL", "CAT", "slow"), *real.value("ACL", "CAT", "fast")]
