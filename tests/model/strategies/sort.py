"""SORT and SORT_RO.

What they sort has keys that no other family uses, for these are never sorted sets: Redis makes a
small one a skiplist when it sorts it, which OBJECT ENCODING shows. Sets are sorted neither BY
nosort nor by text of other keys, where their own order shows.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    Family,
    any_integer,
    any_real,
    command,
    key,
    one_of,
    options,
    rarely,
    together,
    value,
)

_list = st.sampled_from([b"sort:list", b"sort:list", b"sort:none"])
_source = _list | st.sampled_from([b"sort:set", b"sort:set", b"weight:1"])
_element = one_of("1 1 2 3 10 -1 1.0 a b") | any_real
_elements = st.lists(_element, min_size=1, max_size=4)
_numbers = st.lists(one_of("1 2 3 10 -5"), min_size=1, max_size=4)
_weight = st.sampled_from([b"weight:1", b"weight:2", b"weight:3", b"weight:a"])
_hash = st.sampled_from([b"hash:1", b"hash:2", b"hash:3", b"weight:1"])
_pattern = one_of("weight:* weight:* hash:*->f hash:*->g hash:* *->f nothing:*")
_limit = together(b"LIMIT", any_integer, any_integer) | together(
    b"LIMIT", one_of("0 1 2"), one_of("0 1 2 -1")
)
_any_options = (b"ASC", b"DESC", _limit, together(b"GET", _pattern | st.just(b"#")), b"BAD")
_store = together(b"STORE", key | st.just(b"sort:list"))
_text = (b"ALPHA", *_any_options)
_weighed = (together(b"BY", _pattern), *_any_options)
_as_it_is = together(b"BY", b"nosort")

FAMILY = Family(
    {
        "sort": command("SORT", _source, options(*_text, _store))
        | command("SORT", _source, options(*_weighed, _store))
        | command("SORT", _list, options(*_weighed, *_text, _store))
        | command("SORT", _list, _as_it_is, options(*_any_options, _store)),
        "sort_ro": command("SORT_RO", _source, options(*_text))
        | command("SORT_RO", _source, options(*_weighed)),
        "rpush": command("RPUSH", b"sort:list", _elements | _numbers),
        "sadd": command("SADD", b"sort:set", _elements | _numbers),
        "hset": command("HSET", _hash, one_of("f f g"), any_real),
        "set": command("SET", _weight, value),
        "lrange": command("LRANGE", key | st.just(b"sort:list"), b"0", b"-1"),
        "del": rarely(command("DEL", st.sampled_from([b"sort:list", b"sort:set"]))),
    },
    seeds=[
        [b"RPUSH", b"sort:list", b"3", b"1", b"2", b"10"],
        [b"SADD", b"sort:set", b"3", b"1", b"2"],
        [b"MSET", b"weight:1", b"3", b"weight:2", b"1", b"weight:3", b"2"],
        [b"HSET", b"hash:1", b"f", b"2", b"g", b"x"],
        [b"HSET", b"hash:2", b"f", b"1"],
    ],
    of_a_type=True,
)
