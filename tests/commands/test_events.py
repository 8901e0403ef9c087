"""Which keyspace events commands fire, beside the real server: line by line of the transcripts,
with collections as they come, and with large ones wherever Redis would not keep two elements
packed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.commands.registry import REGISTRY
from tests.commands.test_changes import _LOW, _NAMES, _SAVING, _USUAL, _WITHOUT_COLLECTIONS
from tests.support.changes import DATABASES
from tests.support.events import EventStage, Message, Subscriber, subscribing, watch_events
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, redis_process, running
from tests.support.transcript import Case, Line, read_transcript

_FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"
_ALL = b"KEAnm"

_LOOKS_LATER = {"XAUTOCLAIM none g d x 0"}
"""The error comes before the key is missed."""

_SILENT_IN_REDIS = "HMGET h "
"""Where the first field that it meets is the last one, HMGET deletes the hash and tells nobody."""


def _differs(line: Line, ours: list[Message], theirs: list[Message]) -> bool:
    name = line.arguments[0].upper()
    if name in (b"SORT", b"SORT_RO"):  # in which order it looks at what it sorts by is chance
        return sorted(ours) != sorted(theirs)
    if name in (b"SCAN", b"RANDOMKEY"):  # what they pass over is left to the sweep
        return ours != [message for message in theirs if b"expired" not in b"".join(message)]
    if line.text.startswith(_SILENT_IN_REDIS) and not theirs:
        return [message for _, message in ours[::2]] not in ([], [b"hexpired", b"del"])
    return ours != theirs and line.text not in _LOOKS_LATER


class Pair:
    """The real server, in which nothing expires before somebody looks, and a stage."""

    def __init__(
        self, server: ServerProcess, client: RawClient, subscriber: Subscriber, stage: EventStage
    ) -> None:
        self.server = server
        self.client = client
        self.subscriber = subscriber
        self.stage = stage

    def both(self, *request: bytes) -> tuple[list[Message], list[Message]]:
        ours = self.stage.run(list(request))
        self.client.command(*request)
        return ours, self.subscriber.look()

    def use(self, limits: dict[str, int], classes: bytes = _ALL) -> None:
        words = [str(word).encode() for limit in limits.items() for word in limit]
        self.both(b"CONFIG", b"SET", b"notify-keyspace-events", classes, *words)

    def play(self, case: Case) -> list[tuple[Line, list[Message], list[Message]]]:
        ours, theirs = self.stage.play(case), watch_events(case, self.server, self.subscriber)
        return list(zip(case, ours, theirs, strict=True))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("redis")
    stage = EventStage(tmp_path_factory.mktemp("stage") / "data")
    with (
        running(redis_process(folder, "--databases", str(DATABASES))) as server,
        server.client() as client,
        subscribing(server) as subscriber,
    ):
        assert client.command("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"+OK\r\n"
        yield Pair(server, client, subscriber, stage)
    stage.stage.engine.close()


def test_all_commands_that_write_say_what_they_fire() -> None:
    silent = [it.name for it in REGISTRY.all() if "write" in it.flags and it.events is None]
    assert silent == []


@pytest.mark.parametrize("limits", [_USUAL, _LOW], ids=["usual", "low"])
@pytest.mark.parametrize("name", _NAMES.split())
def test_events_are_those_of_redis(pair: Pair, name: str, limits: dict[str, int]) -> None:
    if limits is _LOW and name in _WITHOUT_COLLECTIONS:
        return
    pair.use(limits)
    found = []
    for case in read_transcript(_FOLDER / f"{name}.txt"):
        if _SAVING.isdisjoint(line.arguments[0].upper() for line in case):
            found += [
                f"{name}.txt:{line.number}: {line.text}\n  ours   {ours}\n  theirs {theirs}"
                for line, ours, theirs in pair.play(case)
                if _differs(line, ours, theirs)
            ]
    assert not found, f"{len(found)} lines\n" + "\n".join(found)


@pytest.mark.parametrize("kind", "g$lshzxtnm")
def test_each_event_is_of_its_class(pair: Pair, kind: str) -> None:
    pair.use(_USUAL, f"E{kind}".encode())
    found = [
        (line.number, line.text, ours, theirs)
        for name in ("changes", "expire")
        for case in read_transcript(_FOLDER / f"{name}.txt")
        if _SAVING.isdisjoint(line.arguments[0].upper() for line in case)
        for line, ours, theirs in pair.play(case)
        if _differs(line, ours, theirs)
    ]
    assert found == []


@given(letters=st.text("Ag$lshzxeKEtmdn", max_size=8).map(str.encode))
@example(letters=b"KEA")
@example(letters=b"AnK")
@example(letters=b"g$lshzxetdnmKE")
@example(letters=b"")
def test_classes_are_spelt_as_redis_does_and_mean_the_same(pair: Pair, letters: bytes) -> None:
    pair.use({}, letters)
    name = b"notify-keyspace-events"
    ours = pair.stage.stage.services.config.get([name])
    assert pair.client.value("CONFIG", "GET", name) == [name, ours[name]]
    for line in (b"SET k v", b"LPUSH l v", b"DEL k l", b"GET k"):
        fired, theirs = pair.both(*line.split())
        assert fired == theirs


_TEMPLATES = """
SET K v|SET K v EX 100|SET K v PXAT 1|SET K v NX|SET K v XX GET|SET K v KEEPTTL
SET K v GET PX 100000|SETNX K v|SETEX K 100 v|PSETEX K 100000 KEEPTTL|MSET K 1 K 2
MSET K 1 K 2 K 3|MSETNX K 1 K 2|GETSET K w|APPEND K x|APPEND K ''|SETRANGE K 2 x|SETRANGE K 0 ''
SETRANGE K 9 ''|GETDEL K|GETEX K|GETEX K EX 100|GETEX K PERSIST|GETEX K PXAT 1|INCR K|DECR K
INCRBY K 0|DECRBY K 3|INCRBYFLOAT K 1.5|INCRBYFLOAT K 0|SETBIT K 7 1|SETBIT K 7 0|BITOP OR K K K
BITOP NOT K K|BITFIELD K SET u8 0 1|BITFIELD K GET u8 0|BITFIELD K OVERFLOW FAIL SET u2 9 9
BITFIELD K INCRBY u8 0 0|PFADD K E E|PFADD K|PFMERGE K K K|PFMERGE K|PFCOUNT K K|GET K
MGET K K K|STRLEN K|GETRANGE K 0 -1|GETBIT K 3|EXISTS K K|TYPE K|TOUCH K K|TTL K
OBJECT ENCODING K|OBJECT FREQ K|DEL K|DEL K K K|UNLINK K K|RENAME K K|RENAMENX K K|COPY K K
COPY K K REPLACE|COPY K K DB 3|COPY K K DB 3 REPLACE|MOVE K 3|EXPIRE K 100|EXPIRE K 0
PEXPIRE K -1|EXPIRE K 100 NX|EXPIREAT K 4000000000 GT|EXPIREAT K 1|PEXPIREAT K 99999999999999
PERSIST K|SORT K STORE K|SORT K ALPHA STORE K|SORT K BY nosort GET # STORE K|LPUSH K E|RPUSH K E E
LPUSHX K E|RPUSHX K E|LINSERT K BEFORE E E|LPOP K|RPOP K|LPOP K 9|RPOP K 0|LMPOP 2 K K LEFT
LMPOP 1 K RIGHT COUNT 9|LREM K 0 E|LTRIM K 0 -1|LTRIM K 1 1|LTRIM K 5 1|LSET K 0 E|LSET K 9 E
LMOVE K K LEFT RIGHT|LMOVE K K RIGHT LEFT|RPOPLPUSH K K|LRANGE K 0 -1|LLEN K|LINDEX K 0|LPOS K E
SADD K E|SADD K E E|SREM K E|SREM K E E E|SMOVE K K E|SPOP K 9|SPOP K 0|SUNIONSTORE K K K
SINTERSTORE K K K|SDIFFSTORE K K K|SUNION K K|SINTER K K|SDIFF K K|SINTERCARD 2 K K
SISMEMBER K E|SMEMBERS K|SCARD K|HSET K E 1|HSET K E 1 E 2|HMSET K E 1|HSETNX K E 1|HDEL K E
HDEL K E E E|HINCRBY K E 1|HINCRBY K E 0|HINCRBYFLOAT K E 0.5|HGETDEL K FIELDS 1 E
HEXPIRE K 100 FIELDS 1 E|HEXPIRE K 0 FIELDS 1 E|HEXPIRE K 0 FIELDS 2 E E|HPERSIST K FIELDS 1 E
HGETEX K FIELDS 1 E|HGETEX K EX 100 FIELDS 1 E|HGETEX K EX 0 FIELDS 1 E
HGETEX K PERSIST FIELDS 1 E|HSETEX K FIELDS 1 E 1|HSETEX K EX 100 FIELDS 1 E 1
HSETEX K PXAT 1 FIELDS 1 E 1|HSETEX K FXX FIELDS 1 E 1|HSETEX K FNX KEEPTTL FIELDS 1 E 1
HGET K E|HMGET K E E|HGETALL K|HLEN K|HTTL K FIELDS 1 E|ZADD K 1 E|ZADD K 1 E 2 E
ZADD K XX CH 3 E|ZADD K NX 3 E|ZADD K INCR 1 E|ZADD K XX INCR 1 E|ZINCRBY K 0 E|ZREM K E
ZREM K E E E|ZPOPMIN K|ZPOPMAX K 9|ZMPOP 2 K K MIN|ZMPOP 1 K MAX COUNT 9|ZUNIONSTORE K 2 K K
ZINTERSTORE K 2 K K|ZDIFFSTORE K 2 K K|ZRANGESTORE K K 0 0|ZRANGESTORE K K 8 9
ZREMRANGEBYRANK K 0 0|ZREMRANGEBYSCORE K -inf inf|ZREMRANGEBYSCORE K 2 2|ZREMRANGEBYLEX K - +
ZSCORE K E|ZRANGE K 0 -1|ZUNION 2 K K|ZINTERCARD 2 K K|GEOADD K 1 1 E|GEOADD K XX 2 2 E
GEOSEARCHSTORE K K FROMLONLAT 1 1 BYRADIUS 9 km|GEORADIUS K 1 1 9 km STORE K
GEORADIUS K 1 1 9 km|GEOPOS K E|XADD K * f v|XADD K 5 f v|XADD K MAXLEN 1 * f v
XADD K NOMKSTREAM * f v|XTRIM K MAXLEN 1|XTRIM K MAXLEN 9|XDEL K 5|XDEL K 5 9|XDELEX K IDS 1 5
XSETID K 99999999999999|XGROUP CREATE K g 0|XGROUP CREATE K g $ MKSTREAM
XGROUP CREATECONSUMER K g E|XGROUP DELCONSUMER K g E|XGROUP DESTROY K g|XGROUP SETID K g 0
XREADGROUP GROUP g E STREAMS K >|XREADGROUP GROUP g E STREAMS K 0|XACK K g 5|XACKDEL K g IDS 1 5
XCLAIM K g E 0 5|XCLAIM K g E 0 5 FORCE|XAUTOCLAIM K g E 0 0|XREAD STREAMS K 0|XLEN K
XRANGE K - +|XPENDING K g|XINFO STREAM K|SELECT 3|SELECT 0|FLUSHDB|SWAPDB 0 3
"""
_DUE_SOON = [[b"PEXPIRE", b"K", b"1"], [b"DEBUG", b"SLEEP", b"0.004"]]
"""Beside which everything else is quick."""

_lines = _TEMPLATES.strip().replace("''", "").replace("\n", "|").encode().split(b"|")
_templates = st.sampled_from([_DUE_SOON, *([line.split(b" ")] for line in _lines)])
_places = {b"K": st.sampled_from([b"a", b"b", b"c"]), b"E": st.sampled_from([b"1", b"2", b"x"])}


@st.composite
def _requests(draw: st.DrawFn) -> list[list[bytes]]:
    return [
        [draw(_places.get(word, st.just(word))) for word in template]
        for template in draw(_templates)
    ]


def _deleted(ours: list[Message], theirs: list[Message]) -> list[Message]:
    """``ours``, in which what was overwritten with nothing has expired where Redis only deletes
    it."""
    return [
        (channel.replace(b":expired", b":del"), message.replace(b"expired", b"del"))
        if len(ours) == len(theirs) and b"del" in b"".join(other)
        else (channel, message)
        for (channel, message), other in zip(ours, theirs, strict=False)
    ] or ours


@settings(max_examples=300, deadline=None)
@given(limits=st.sampled_from([_USUAL, _LOW]), steps=st.lists(_requests(), max_size=40))
def test_events_of_any_commands_are_those_of_redis(
    pair: Pair, limits: dict[str, int], steps: list[list[list[bytes]]]
) -> None:
    pair.both(b"SELECT", b"0")
    pair.both(b"FLUSHALL")
    pair.use(limits)
    for requests in steps:
        for request in requests:
            ours, theirs = pair.both(*request)
            if b"STORE" in b"".join(request) or request[0] == b"BITOP":
                ours = _deleted(ours, theirs)
            assert ours == theirs, (request, steps)
