"""redis-py as programs use it: transactions, queues that wait, listeners, its cache."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.cache import CacheConfig

from tests.support.servers import HOST, ServerProcess, wait_until

SECONDS = 20.0
DONE = b"done"


@pytest.fixture(scope="session")
def server(tendis: ServerProcess) -> ServerProcess:
    """In each threading model."""
    return tendis


@pytest.fixture(params=[2, 3])
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Any]:
    with connect(server, protocol=request.param) as found:
        yield found


def connect(server: ServerProcess, **options: Any) -> Any:
    """A client that no answer keeps waiting for ever."""
    return redis.Redis(HOST, server.port, socket_timeout=SECONDS, **options)


class Threads:
    """What runs beside a test; ``join`` raises what one of them raised."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def start(self, *works: Callable[[], None]) -> None:
        for work in works:
            thread = threading.Thread(target=self._run, args=(work,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        for error in self._errors:
            raise error

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._errors.append(error)


def blocked(client: Any) -> int:
    return int(client.info("clients")["blocked_clients"])


# Pipelines


@pytest.mark.parametrize("transaction", [True, False])
def test_a_pipeline(client: Any, transaction: bool) -> None:
    with client.pipeline(transaction=transaction) as pipe:
        assert pipe.execute() == []
        pipe.set("k", 1).incr("k").hset("h", mapping={"f": "v", "g": "w"}).hgetall("h")
        pipe.zadd("z", {"a": 1.5}).zrange("z", 0, -1, withscores=True).lpop("none").exists("k")
        replies = pipe.execute()
        assert replies[:5] == [True, 2, 2, {b"f": b"v", b"g": b"w"}, 1]
        assert [list(pair) for pair in replies[5]] == [[b"a", 1.5]]
        assert replies[6:] == [None, 1]
        pipe.get("k")
        assert pipe.execute() == [b"2"]


@pytest.mark.parametrize("transaction", [True, False])
def test_a_command_that_fails_in_a_pipeline(client: Any, transaction: bool) -> None:
    with client.pipeline(transaction=transaction) as pipe:
        pipe.set("k", "x").incr("k").set("after", 1)
        replies = pipe.execute(raise_on_error=False)
        assert [replies[0], replies[2]] == [True, True]
        assert isinstance(replies[1], redis.ResponseError)
        pipe.set("k", "y").lpush("k", 1).set("after", 2)
        with pytest.raises(redis.ResponseError, match=r"Command # 2 \(LPUSH k 1\).*WRONGTYPE"):
            pipe.execute()
        assert client.mget("k", "after") == [b"y", b"2"]


def test_a_transaction_with_what_there_is_not_changes_nothing(client: Any) -> None:
    with client.pipeline() as pipe:
        pipe.set("k", 1).execute_command("NONE", "k")
        with pytest.raises(redis.ResponseError, match=r"Command # 2 .* unknown command"):
            pipe.execute()
    assert not client.exists("k")


def test_nothing_waits_in_a_transaction(client: Any) -> None:
    client.xgroup_create("s", "g", mkstream=True)
    with client.pipeline() as pipe:
        pipe.blpop("none").blmove("none", "other", 0).bzpopmin("none")
        pipe.xreadgroup("g", "c", {"s": ">"}, block=0).ping()
        assert [reply or None for reply in pipe.execute()] == [None] * 4 + [True]


def test_a_pipeline_of_ten_thousand(client: Any) -> None:
    for transaction in (True, False):
        with client.pipeline(transaction=transaction) as pipe:
            for number in range(10_000):
                pipe.set(b"k%d" % (number % 1000), number).get(b"k%d" % (number % 1000))
            assert pipe.execute()[1::2] == [b"%d" % number for number in range(10_000)]


# WATCH


def test_what_is_watched_and_changes(client: Any) -> None:
    client.set("k", 1)
    with client.pipeline() as pipe:
        pipe.watch("k")
        value = int(pipe.get("k"))
        client.set("k", 5)
        pipe.multi()
        pipe.set("k", value + 1)
        with pytest.raises(redis.WatchError):
            pipe.execute()
        pipe.watch("k")
        client.set("k", 6)
        pipe.unwatch()
        assert pipe.set("k", 7).execute() == [True]
    assert client.get("k") == b"7"


def test_threads_that_count_by_transaction(client: Any) -> None:
    """redis-py tries again by itself for as long as others were faster."""
    tries: Counter[str] = Counter()

    def count_up() -> None:
        def step(pipe: Any) -> None:
            tries["all"] += 1
            value = int(pipe.get("count") or 0)
            pipe.multi()
            pipe.set("count", value + 1)
            pipe.rpush("seen", value)

        for _ in range(25):
            client.transaction(step, "count", "seen")

    threads = Threads()
    threads.start(*[count_up] * 4)
    threads.join()
    assert client.get("count") == b"100"
    assert client.lrange("seen", 0, -1) == [b"%d" % number for number in range(100)]
    assert tries["all"] >= 100


# Queues


def test_blpop_consumers_share_the_jobs(client: Any) -> None:
    jobs = [b"%d" % number for number in range(300)]
    done: list[bytes] = []

    def consume() -> None:
        while (job := client.blpop(["urgent", "jobs"], timeout=SECONDS)[1]) != DONE:
            done.append(job)

    threads = Threads()
    threads.start(*[consume] * 4)
    wait_until(lambda: blocked(client) == 4, "all wait")
    for start in range(0, 200, 10):
        client.rpush("jobs", *jobs[start : start + 10])
    with client.pipeline() as pipe:
        for job in jobs[200:]:
            pipe.rpush("urgent", job)
        pipe.execute()
    wait_until(lambda: len(done) == 300, "all is done")
    client.rpush("jobs", *[DONE] * 4)
    threads.join()
    assert sorted(done) == sorted(jobs)


def test_blmove_keeps_what_is_being_worked_on(client: Any) -> None:
    done: list[bytes] = []

    def consume() -> None:
        while True:
            job = client.blmove("jobs", "doing", SECONDS, "RIGHT", "LEFT")
            assert job in client.lrange("doing", 0, -1)
            with client.pipeline() as pipe:
                pipe.lrem("doing", 1, job).rpush("done", job).execute()
            if job == DONE:
                return
            done.append(job)

    threads = Threads()
    threads.start(consume, consume)
    for number in range(100):
        client.lpush("jobs", number)
    client.lpush("jobs", DONE, DONE)
    threads.join()
    assert sorted(map(int, done)) == list(range(100))
    assert client.llen("done") == 102
    assert client.exists("jobs", "doing") == 0


def test_bzpopmin_takes_the_most_urgent(client: Any) -> None:
    found: queue.Queue[Any] = queue.Queue()
    threads = Threads()
    threads.start(lambda: found.put(client.bzpopmin("tasks", timeout=SECONDS)))
    wait_until(lambda: blocked(client) == 1, "it waits")
    client.zadd("tasks", {"late": 9, "soon": 1, "later": 20})
    assert list(found.get(timeout=SECONDS)) == [b"tasks", b"soon", 1.0]
    threads.join()
    assert list(client.bzpopmax("tasks", timeout=1)) == [b"tasks", b"later", 20.0]


def test_a_consumer_group_that_waits(client: Any) -> None:
    client.xgroup_create("s", "g", mkstream=True)
    done: list[bytes] = []

    def consume(name: str) -> Callable[[], None]:
        def work() -> None:
            with client.client() as own:
                while True:
                    reply = own.xreadgroup("g", name, {"s": ">"}, count=1, block=20_000)
                    entries = dict(reply)[b"s"]
                    if isinstance(reply, dict):  # RESP3: one level more
                        [entries] = entries
                    [(entry_id, fields)] = entries
                    assert own.xack("s", "g", entry_id) == 1
                    if fields[b"job"] == DONE:
                        return
                    done.append(fields[b"job"])

        return work

    threads = Threads()
    threads.start(*[consume(f"c{number}") for number in range(3)])
    wait_until(lambda: blocked(client) == 3, "all wait")
    for number in range(60):
        client.xadd("s", {"job": number})
    for _ in range(3):
        client.xadd("s", {"job": DONE})
    threads.join()
    assert sorted(map(int, done)) == list(range(60))
    assert client.xpending("s", "g")["pending"] == 0


def test_waiting_ends_in_time_or_by_another(client: Any) -> None:
    assert client.blpop("none", timeout=0.01) is None
    assert client.brpoplpush("none", "other", timeout=0.01) is None
    assert not client.xread({"none": "$"}, block=1)
    with client.client() as own:
        own_id = own.client_id()
        failures: queue.Queue[BaseException] = queue.Queue()

        def wait() -> None:
            with pytest.raises(redis.ResponseError, match="UNBLOCKED") as caught:
                own.blpop("none", timeout=SECONDS)
            failures.put(caught.value)

        threads = Threads()
        threads.start(wait)
        wait_until(lambda: blocked(client) == 1, "it waits")
        assert client.client_unblock(own_id, error=True)
        failures.get(timeout=SECONDS)
        threads.join()
        assert own.ping()


def test_a_consumer_that_gives_up_takes_nothing_along(server: ServerProcess, client: Any) -> None:
    """Its connection is closed as its own time is up, and the job goes to the next."""
    with (
        redis.Redis(HOST, server.port, socket_timeout=0.05, retry=None) as impatient,
        pytest.raises(redis.TimeoutError),
    ):
        impatient.blpop("jobs", timeout=0)
    wait_until(lambda: blocked(client) == 0, "the server knows")
    client.rpush("jobs", "a")
    assert list(client.blpop("jobs", timeout=SECONDS)) == [b"jobs", b"a"]


# Listeners


def test_listen_goes_on_after_the_connection_is_lost(client: Any) -> None:
    """redis-py connects and subscribes again."""
    heard: queue.Queue[Any] = queue.Queue()

    def listen() -> None:
        for message in pubsub.listen():
            heard.put((message["type"], message["data"]))
            if message["data"] == DONE:
                return

    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        threads = Threads()
        threads.start(listen)
        assert heard.get(timeout=SECONDS) == ("subscribe", 1)
        client.publish("news", "a")
        assert heard.get(timeout=SECONDS) == ("message", b"a")
        assert client.client_kill_filter(_type="pubsub") == 1
        assert heard.get(timeout=SECONDS) == ("subscribe", 1)
        assert client.publish("news", DONE) == 1
        assert heard.get(timeout=SECONDS) == ("message", DONE)
        threads.join()


def test_a_thread_hears_what_becomes_of_keys(client: Any) -> None:
    heard: queue.Queue[tuple[bytes, bytes]] = queue.Queue()
    client.config_set("notify-keyspace-events", "KEA")

    def note(message: Any) -> None:
        heard.put((message["channel"], message["data"]))

    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.psubscribe(**{"__keyevent@0__:*": note})
        pubsub.subscribe(**{"__keyspace@0__:k": note})
        worker = pubsub.run_in_thread(sleep_time=0.05, daemon=True)
        try:
            wait_until(lambda: client.pubsub_numpat() == 1, "it listens")
            wait_until(lambda: len(client.pubsub_channels()) == 1, "to the key, too")
            with client.pipeline() as pipe:
                pipe.rpush("l", "a").lpop("l").execute()
            client.set("k", 1, px=30)
            events = [heard.get(timeout=SECONDS) for _ in range(9)]
        finally:
            worker.stop()
            worker.join(SECONDS)
    by_event, by_key = b"__keyevent@0__:", b"__keyspace@0__:k"
    assert events[:3] == [(by_event + name, b"l") for name in (b"rpush", b"lpop", b"del")]
    assert events[3:] == [
        pair
        for name in (b"set", b"expire", b"expired")
        for pair in ((by_key, name), (by_event + name, b"k"))
    ]


def test_monitor(client: Any) -> None:
    seen: list[str] = []
    with client.monitor() as monitor:
        client.set("k", "v")
        with client.pipeline() as pipe:
            pipe.get("k").execute()
        for command in monitor.listen():
            seen.append(command["command"])
            if seen[-1] == "EXEC":
                break
    assert [text for text in seen if not text.startswith(("CLIENT", "HELLO"))] == [
        *("SET k v", "MULTI", "GET k", "EXEC")
    ]


# The cache


def test_caches_beside_a_writer(server: ServerProcess) -> None:
    """Most reads ask nobody; once a change is heard of, the new value is read. (Threads that share
    one cache may wait for each other for ever in redis-py, whatever the server.)"""
    keys = [b"k%d" % number for number in range(20)]
    rounds = 20

    def read() -> None:
        with connect(server, protocol=3, cache_config=CacheConfig()) as caching:
            for _ in range(rounds):
                for key in keys:
                    assert caching.get(key) in (b"1", b"2")
            for key in keys:
                wait_until(lambda key=key: caching.get(key) == b"2", "it has heard")

    with connect(server) as other:
        other.config_resetstat()
        other.mset(dict.fromkeys(keys, "1"))
        threads = Threads()
        threads.start(*[read] * 3)
        other.mset(dict.fromkeys(keys, "2"))
        threads.join()
        asked = other.info("commandstats")["cmdstat_get"]["calls"]
        assert asked < rounds * 3 * len(keys) / 2
