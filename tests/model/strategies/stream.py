"""Stream commands, but for what shows times: IDs of the clock, idle times, XINFO CONSUMERS."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import Family, command, key, one_of, options, together

id_ = one_of("1 1-1 1-2 2 2-1 3 4 5-5 6 7 8 9 10-1 11 12 20")
some_ids = st.lists(id_, min_size=1, max_size=3)
new_id = one_of("1 1-* 2-* 3 4-* 5-5 6 7-* 8 9 10-* 11-* 12 13-1 15 17 20-* 21-* 0-* 0-0 x 1-x")
start = id_ | one_of("- 0 (1 (2-1 (5 + (- x")
end = id_ | one_of("+ (5 (9 (0 - x")
read_id = one_of("0 0 1 2 5 9 $ + > x")
group = one_of("g g h i")
group_id = one_of("0 0 $ 1-1 3 5 20 x")
consumer = one_of("c d")
field = one_of("a b field")
field_value = one_of("1 value -77 123456") | st.just(b"v" * 70)
fields = st.lists(st.tuples(field, field_value), min_size=1, max_size=2).map(
    lambda pairs: [part for pair in pairs for part in pair]
)
count = together(b"COUNT", one_of("1 2 2 10 0 -1 x"))
references = one_of("KEEPREF DELREF ACKED")
trimming = st.one_of(
    together(b"MAXLEN", one_of("0 1 2 3 5 -1")),
    together(b"MAXLEN", b"~", one_of("0 1 2 3 5")),
    together(b"MAXLEN", b"~", one_of("0 1 2"), b"LIMIT", one_of("0 1 2 5 -1")),
    together(b"MINID", start),
    together(b"MINID", one_of("~ ="), id_),
)
entries_read = together(b"ENTRIESREAD", one_of("0 1 2 5 -1 -2 x"))
min_idle = one_of("0 0 0 50000 1000000 -1 x")
numbered_ids = some_ids.map(lambda ids: [b"IDS", b"%d" % len(ids), *ids])
stream_key = st.sampled_from([b"a", b"a", b"b", b"c"])


def streams(*, in_group: bool) -> st.SearchStrategy[list[bytes]]:
    one = st.tuples(key | stream_key, st.just(b">") | read_id if in_group else read_id)
    return st.lists(one, min_size=1, max_size=2).map(
        lambda found: [b"STREAMS", *(name for name, _ in found), *(at for _, at in found)]
    )


xgroup = st.one_of(
    command("XGROUP", b"CREATE", stream_key, group, group_id, options(b"MKSTREAM", entries_read)),
    command("XGROUP", b"SETID", stream_key, group, group_id, options(entries_read)),
    command("XGROUP", b"DESTROY", stream_key, group),
    command("XGROUP", b"CREATECONSUMER", stream_key, group, consumer),
    command("XGROUP", b"DELCONSUMER", stream_key, group, consumer),
)

FAMILY = Family(
    {
        "xadd": command(
            "XADD", stream_key, options(b"NOMKSTREAM", references, trimming), new_id, fields
        ),
        "xlen": command("XLEN", key),
        "xrange": command("XRANGE", stream_key, start, end, options(count)),
        "xrevrange": command("XREVRANGE", stream_key, end, start, options(count)),
        "xread": command("XREAD", options(count), streams(in_group=False)),
        "xdel": command("XDEL", stream_key, some_ids),
        "xdelex": command("XDELEX", stream_key, options(references), numbered_ids),
        "xackdel": command("XACKDEL", stream_key, group, options(references), numbered_ids),
        "xtrim": command("XTRIM", stream_key, trimming, options(references)),
        "xsetid": command(
            "XSETID",
            stream_key,
            id_,
            options(
                together(b"ENTRIESADDED", one_of("0 1 5 10 100 -1")),
                together(b"MAXDELETEDID", id_),
            ),
        ),
        "xinfo": st.one_of(
            command("XINFO", one_of("STREAM GROUPS"), key),
            command("XINFO", one_of("STREAM GROUPS"), stream_key),
        ),
        "xgroup": xgroup,
        "xreadgroup": command(
            "XREADGROUP",
            b"GROUP",
            group,
            consumer,
            options(count, b"NOACK"),
            streams(in_group=True),
        ),
        "xack": command("XACK", stream_key, group, some_ids),
        "xpending": st.one_of(
            command("XPENDING", stream_key, group),
            command("XPENDING", stream_key, group, b"IDLE", b"500000", start, end, b"10"),
        ),
        "xclaim": command(
            "XCLAIM",
            stream_key,
            group,
            consumer,
            min_idle,
            some_ids,
            options(
                b"FORCE",
                b"JUSTID",
                together(b"IDLE", one_of("0 100000 x")),
                together(b"TIME", one_of("0 99999999999999")),
                together(b"RETRYCOUNT", one_of("0 3 -1")),
                together(b"LASTID", id_),
            ),
        ),
        "xautoclaim": command(
            "XAUTOCLAIM",
            stream_key,
            group,
            consumer,
            min_idle,
            start,
            options(b"JUSTID", together(b"COUNT", one_of("1 2 10 0"))),
        ),
    },
    of_a_type=True,
    seeds=[
        *([b"XADD", b"a", b"%d-%d" % (number, number % 3), b"f", b"v"] for number in range(1, 9)),
        [b"XADD", b"b", b"5-5", b"field", b"1"],
        [b"XADD", b"b", b"6-0", b"field", b"2", b"other", b""],
        [b"XGROUP", b"CREATE", b"a", b"g", b"0", b"MKSTREAM"],
        [b"XGROUP", b"CREATE", b"a", b"h", b"2", b"MKSTREAM"],
        [b"XGROUP", b"CREATE", b"b", b"g", b"$", b"MKSTREAM"],
        [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"3", b"STREAMS", b"a", b">"],
        [b"XREADGROUP", b"GROUP", b"h", b"d", b"STREAMS", b"a", b">"],
    ],
)
