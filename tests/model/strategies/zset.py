"""Sorted set commands: few members, scores that collide, bounds on them and beside them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    Family,
    Request,
    command,
    key,
    one_of,
    options,
    together,
    words,
)

member = st.sampled_from([*[b"a", b"b", b"c", b"d", b"e", b"f"] * 2, b"", b"\0", b"m" * 65])
members = st.lists(member, min_size=1, max_size=4)
score = one_of("0 0 1 1 2 2 3 -1 1.5 -0 0.1 3e20 inf -inf 1e-5 x nan")
_pairs = st.lists(st.tuples(score, member), min_size=1, max_size=5).map(
    lambda pairs: [part for pair in pairs for part in pair]
)
_bound = one_of("0 1 2 3 (0 (1 (2 -1 1.5 inf -inf (inf (-inf -0 x")
_rank = one_of("0 1 2 3 5 -1 -2 -3 -5 100 -100 0 x")
_lex = one_of("- + - + [a (a [c (c [e (e [ ( x")
_limit = together(b"LIMIT", one_of("0 1 2 5 -1"), one_of("1 2 3 -1 0 x"))
_count = one_of("0 1 2 3 10 -1 x")

_growing = {b"": b"-1", b"\0": b"-1", b"m" * 65: b"inf"}
_growing |= zip(words("a b c d e f"), words("0 0 1 1 2 2.5"), strict=True)
_skiplist_key = st.sampled_from([b"lex:1", b"lex:2"])
"""Keys whose scores never fall as the members grow. Elsewhere a range by member of a skiplist is
what chance makes of it."""
_listpack_key = st.just(b"lex:3")
"""A key with scores in any order, and no more members than fit into a listpack in any test; nor are
more added at once, for which Redis makes a skiplist, repeats or not."""
_lex_key = _skiplist_key | _listpack_key
_growing_pairs = members.map(
    lambda found: [part for name in found for part in (_growing[name], name)]
)
_mixed_pairs = st.lists(
    st.tuples(one_of("0 1 2 -0"), one_of("a b c d")),
    max_size=3,
    min_size=1,
).map(lambda pairs: [part for pair in pairs for part in pair])

_sources = st.lists(key, min_size=1, max_size=3)
_weight = one_of("1 2 -1 0 0.5 inf x")


def _counted(keys: list[bytes]) -> list[bytes]:
    return [b"%d" % len(keys), *keys]


def _weighted(keys: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    weights = st.lists(_weight, min_size=len(keys), max_size=len(keys))
    aggregate = together(b"AGGREGATE", one_of("SUM MIN MAX x"))
    chosen = options(together(b"WEIGHTS", weights), aggregate)
    return chosen.map(lambda words: [*_counted(keys), *words])


_some_sources = _sources.map(_counted)
_weighted_sources = _sources.flatmap(_weighted)


def _range(name: str, bound: st.SearchStrategy[bytes], *more: bytes) -> st.SearchStrategy[Request]:
    return command(name, key, bound, bound, options(_limit, *more))


_all_of_them = st.tuples(
    st.just(b"ZRANDMEMBER"), key, one_of("0 20 100 x"), options(b"WITHSCORES")
).map(lambda found: [*found[:3], *found[3]])
"""Without a count one is drawn: that it is there, ``command`` can't promise."""


FAMILY = Family(
    {
        "zadd": command("ZADD", key, options(b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"), _pairs)
        | command("ZADD", _skiplist_key, _growing_pairs)
        | command("ZADD", _listpack_key, _mixed_pairs),
        "zincrby": command("ZINCRBY", key, score, member),
        "zcard": command("ZCARD", key),
        "zscore": command("ZSCORE", key, member),
        "zmscore": command("ZMSCORE", key, members),
        "zrem": command("ZREM", key | _lex_key, members),
        "zrank": command("ZRANK", key, member, options(b"WITHSCORE")),
        "zrevrank": command("ZREVRANK", key, member, options(b"WITHSCORE")),
        "zcount": command("ZCOUNT", key, _bound, _bound),
        "zlexcount": command("ZLEXCOUNT", _lex_key, _lex, _lex),
        "zrange": command("ZRANGE", key, _rank, _rank, options(b"REV", b"WITHSCORES"))
        | command("ZRANGE", key, _bound, _bound, b"BYSCORE", options(b"REV", b"WITHSCORES", _limit))
        | command("ZRANGE", _lex_key, _lex, _lex, b"BYLEX", options(b"REV", _limit)),
        "zrevrange": command("ZREVRANGE", key, _rank, _rank, options(b"WITHSCORES", b"BAD")),
        "zrangebyscore": _range("ZRANGEBYSCORE", _bound, b"WITHSCORES"),
        "zrevrangebyscore": _range("ZREVRANGEBYSCORE", _bound, b"WITHSCORES"),
        "zrangebylex": command("ZRANGEBYLEX", _lex_key, _lex, _lex, options(_limit)),
        "zrevrangebylex": command("ZREVRANGEBYLEX", _lex_key, _lex, _lex, options(_limit)),
        "zrangestore": command("ZRANGESTORE", key, key, _rank, _rank, options(b"REV"))
        | command("ZRANGESTORE", key, key, _bound, _bound, b"BYSCORE", options(b"REV", _limit))
        | command("ZRANGESTORE", key, _lex_key, _lex, _lex, b"BYLEX", options(b"REV", _limit)),
        "zremrangebyrank": command("ZREMRANGEBYRANK", key, _rank, _rank),
        "zremrangebyscore": command("ZREMRANGEBYSCORE", key, _bound, _bound),
        "zremrangebylex": command("ZREMRANGEBYLEX", _lex_key, _lex, _lex),
        "zpopmin": command("ZPOPMIN", key, options(_count)),
        "zpopmax": command("ZPOPMAX", key, options(_count)),
        "zmpop": command(
            "ZMPOP", _some_sources, one_of("MIN MAX"), options(together(b"COUNT", _count))
        ),
        "zrandmember": _all_of_them,
        "zscan": command("ZSCAN", key, b"0", b"COUNT", b"1000", options(b"MATCH", b"[a-c]")),
        "zunion": command("ZUNION", _weighted_sources, options(b"WITHSCORES")),
        "zinter": command("ZINTER", _weighted_sources, options(b"WITHSCORES")),
        "zdiff": command("ZDIFF", _some_sources, options(b"WITHSCORES")),
        "zintercard": command("ZINTERCARD", _some_sources, options(together(b"LIMIT", _count))),
        "zunionstore": command("ZUNIONSTORE", key, _weighted_sources),
        "zinterstore": command("ZINTERSTORE", key, _weighted_sources),
        "zdiffstore": command("ZDIFFSTORE", key, _some_sources),
    },
    comparisons={"zrandmember": "%", "zscan": "%"},
    seeds=[
        [b"ZADD", b"a", b"1", b"a", b"2", b"b", b"2", b"c", b"3", b"d"],
        [b"ZADD", b"b", b"0", b"a", b"-1", b"c", b"inf", b"e", b"0.1", b"f"],
        [b"ZADD", b"c", b"5", b"m" * 65, b"5", b"a", b"-0", b"b"],
        [b"ZADD", b"d", b"1", b"a", b"1", b"b", b"1", b"c", b"1", b"d", b"1", b"e", b"1", b"f"],
        [
            b"ZADD",
            b"lex:1",
            *[part for name in b"abcdef" for part in (_growing[bytes([name])], bytes([name]))],
        ],
        [b"ZADD", b"lex:2", b"inf", b"m" * 65, b"0", b"a", b"1", b"c", b"2.5", b"f"],
        [b"ZADD", b"lex:3", *b"1 b 2 a 3 c 0 d".split()],
    ],
    of_a_type=True,
)
