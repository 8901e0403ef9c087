"""Many more libraries, each with what it is for: queues with workers of their own, locks, caches,
rate limiters, sessions, channels. One that is not installed is left out (the extra ``libraries``
brings them all; arq wants an older redis-py)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.servers import HOST, ROOT, ServerProcess, wait_until

SECONDS = 30.0

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore"),  # theirs: of redis-py's API, of what they leave open
]


@pytest.fixture
def url(server: ServerProcess) -> str:
    return f"redis://{HOST}:{server.port}/0"


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with redis.Redis(HOST, server.port) as found:
        yield found


def run(main: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(main(), SECONDS))


@contextlib.contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program in a process group of its own, all of which ends with the block."""
    log = folder / "output.txt"
    with log.open("wb") as output:
        found = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"},
            start_new_session=True,
        )
    try:
        yield found
    except BaseException:
        print(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            found.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.pid, signal.SIGKILL)
        found.wait(10)


# Workers that are processes


def test_rq_workers(client: Any, url: str, tmp_path: Path) -> None:
    rq = pytest.importorskip("rq")
    (tmp_path / "jobs.py").write_text("def double(number):\n    return number * 2\n")
    queue = rq.Queue("default", connection=client)
    jobs = [queue.enqueue("jobs.double", number) for number in range(20)]
    soon = queue.enqueue_in(__import__("datetime").timedelta(seconds=1), "jobs.double", 100)
    with process(tmp_path, "-m", "rq.cli", "worker", "-u", url, "--with-scheduler"):
        wait_until(lambda: all(job.is_finished for job in [*jobs, soon]), "done", SECONDS)
    assert [job.return_value() for job in jobs] == list(range(0, 40, 2))
    client.connection_pool.disconnect()


def test_celery_workers(url: str, tmp_path: Path) -> None:
    celery = pytest.importorskip("celery")
    (tmp_path / "jobs.py").write_text(
        "from celery import Celery\n"
        f"app = Celery('jobs', broker={url!r}, backend={url!r})\n"
        "@app.task(name='add')\n"
        "def add(one, other):\n    return one + other\n"
        "@app.task(name='total')\n"
        "def total(numbers):\n    return sum(numbers)\n"
    )
    app = celery.Celery("jobs", broker=url, backend=url, set_as_current=False)
    add = lambda *numbers: app.signature("add", numbers)  # noqa: E731
    with process(tmp_path, "-m", "celery", "-A", "jobs", "worker", "-c", "2", "-E"):
        found = celery.group(add(number, 1) for number in range(50))()
        assert found.get(SECONDS) == list(range(1, 51))
        for _ in range(3):
            chord = celery.chord([add(number, number) for number in range(20)], app=app)
            assert chord(app.signature("total")).get(SECONDS) == 380
        assert app.control.inspect(timeout=5).ping()
    app.backend.result_consumer.stop()
    app.close()


def test_dramatiq(url: str, client: Any) -> None:
    dramatiq = pytest.importorskip("dramatiq")
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.rate_limits import ConcurrentRateLimiter, WindowRateLimiter
    from dramatiq.rate_limits.backends import RedisBackend as Limits
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=url)
    dramatiq.set_broker(broker)
    broker.add_middleware(Results(backend=RedisBackend(url=url)))
    tries: list[int] = []

    @dramatiq.actor(store_results=True, broker=broker)
    def double(number: int) -> int:
        return number * 2

    @dramatiq.actor(store_results=True, broker=broker, max_retries=2, min_backoff=1)
    def stubborn() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return len(tries)

    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=4)
    worker.start()
    try:
        messages = [double.send(number) for number in range(30)]
        late = double.send_with_options(args=(50,), delay=100)
        results = [one.get_result(block=True, timeout=20_000) for one in messages]
        assert results == list(range(0, 60, 2))
        assert late.get_result(block=True, timeout=20_000) == 100
        assert stubborn.send().get_result(block=True, timeout=20_000) == 3
        both = dramatiq.group([double.message(1), double.message(2)], broker=broker).run()
        assert list(both.get_results(block=True, timeout=20_000)) == [2, 4]
    finally:
        worker.stop()
        broker.close()
    limits = Limits(url=url)
    window = WindowRateLimiter(limits, "window", limit=2, window=60)
    allowed = []
    for _ in range(3):
        with window.acquire(raise_on_failure=False) as acquired:
            allowed.append(acquired)
    assert allowed == [True, True, False]
    with ConcurrentRateLimiter(limits, "mutex", limit=1).acquire() as acquired:
        assert acquired


def test_huey(server: ServerProcess) -> None:
    pytest.importorskip("huey")
    from huey import PriorityRedisExpireHuey, RedisHuey
    from huey.exceptions import TaskLockedException

    for kind in (RedisHuey, PriorityRedisExpireHuey):
        huey = kind("tests", host=HOST, port=server.port)

        @huey.task()
        def double(number: int) -> int:
            return number * 2

        consumer = huey.create_consumer(workers=2, check_worker_health=False, initial_delay=0.01)
        consumer.start()
        try:
            results = [double(number) for number in range(20)]
            late = double.schedule((21,), delay=1)
            assert [one.get(blocking=True, timeout=20) for one in results] == list(range(0, 40, 2))
            assert late.get(blocking=True, timeout=20) == 42
            with huey.lock_task("lock"), pytest.raises(TaskLockedException):
                huey.lock_task("lock").__enter__()
            assert huey.put_if_empty("once", 1)
            assert not huey.put_if_empty("once", 2)
        finally:
            consumer.stop(graceful=True)
            huey.storage.conn.connection_pool.disconnect()


def test_saq(url: str) -> None:
    saq = pytest.importorskip("saq")

    async def double(context: Any, *, number: int) -> int:
        return number * 2

    async def main() -> None:
        queue = saq.Queue.from_url(url)
        await queue.connect()
        worker = saq.Worker(queue, [("double", double)], concurrency=3)
        working = asyncio.create_task(worker.start())
        while not await queue.redis.exists("saq:default:sweep"):
            await asyncio.sleep(0)  # its first sweep would take what has just begun for abandoned
        assert await queue.map("double", [{"number": number} for number in range(20)]) == list(
            range(0, 40, 2)
        )
        job = await queue.enqueue("double", number=3, scheduled=1, key="once")
        assert await queue.enqueue("double", number=3, key="once") is None
        await job.refresh(10)
        assert job.result == 6
        await queue.sweep()
        await worker.stop()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await queue.disconnect()

    run(main)


def test_taskiq(url: str) -> None:
    pytest.importorskip("taskiq_redis")
    from taskiq.api import run_receiver_task
    from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

    async def main(kind: Any) -> None:
        broker = kind(url).with_result_backend(RedisAsyncResultBackend(url, result_ex_time=60))

        @broker.task(task_name="double")
        async def double(number: int) -> int:
            return number * 2

        await broker.startup()
        receiver = asyncio.create_task(run_receiver_task(broker))
        tasks = [await double.kiq(number) for number in range(10)]
        results = [await task.wait_result(timeout=20) for task in tasks]
        assert [one.return_value for one in results] == list(range(0, 20, 2))
        receiver.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiver
        await broker.shutdown()

    for kind in (ListQueueBroker, RedisStreamBroker):
        run(lambda kind=kind: main(kind))


# Channels, caches, sessions


def test_channels_redis(url: str) -> None:
    pytest.importorskip("channels_redis")
    from channels_redis.core import RedisChannelLayer
    from channels_redis.pubsub import RedisPubSubChannelLayer

    async def main(kind: Any) -> None:
        layer = kind(hosts=[url], **({"capacity": 3} if kind is RedisChannelLayer else {}))
        one, other = await layer.new_channel(), await layer.new_channel()
        for name in (one, other):
            await layer.group_add("room", name)
        await layer.group_send("room", {"type": "hello", "n": 1})
        assert (await layer.receive(one))["n"] == 1
        assert (await layer.receive(other))["n"] == 1
        await layer.group_discard("room", other)
        await layer.group_send("room", {"type": "hello", "n": 2})
        assert (await layer.receive(one))["n"] == 2
        await layer.send(other, {"type": "direct"})
        assert (await layer.receive(other))["type"] == "direct"
        await layer.flush()
        await asyncio.sleep(0)
        await getattr(layer, "close_pools", layer.flush)()

    for kind in (RedisChannelLayer, RedisPubSubChannelLayer):
        run(lambda kind=kind: main(kind))


def test_django_redis(url: str) -> None:
    pytest.importorskip("django_redis")
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            CACHES={
                "default": {
                    "BACKEND": "django_redis.cache.RedisCache", "LOCATION": url,
                    "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
                }
            }
        )  # fmt: skip
    from django.core.cache import cache

    cache.set("k", {"a": [1]}, timeout=60)
    assert cache.get("k") == {"a": [1]}
    assert 50 < cache.ttl("k") <= 60
    cache.set("n", 5)
    assert cache.incr("n", 2) == 7
    with pytest.raises(ValueError, match="not found"):
        cache.incr("none")
    assert not cache.add("n", 1)
    cache.set_many({f"m{number}": number for number in range(20)})
    assert len(cache.get_many([f"m{number}" for number in range(20)])) == 20
    assert cache.delete_pattern("m*") == 20
    with cache.lock("lock", timeout=10):
        assert list(cache.iter_keys("*lock*"))
    cache.clear()
    cache.client.get_client().connection_pool.disconnect()


def test_flask(server: ServerProcess) -> None:
    pytest.importorskip("flask_caching")
    pytest.importorskip("flask_session")
    from flask import Flask, session
    from flask_caching import Cache
    from flask_session import Session

    app = Flask("tests")
    client = redis.Redis(HOST, server.port)
    app.config.update(
        CACHE_TYPE="RedisCache", CACHE_REDIS_HOST=HOST, CACHE_REDIS_PORT=server.port,
        SESSION_TYPE="redis", SESSION_REDIS=client,
    )  # fmt: skip
    Session(app)
    cache = Cache(app)
    made: list[int] = []

    @app.route("/count")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    @cache.memoize(60)
    def double(number: int) -> int:
        made.append(number)
        return number * 2

    browser = app.test_client()
    assert [browser.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    assert app.test_client().get("/count").text == "1"
    assert [double(4), double(4)] == [8, 8]
    cache.delete_memoized(double)
    assert double(4) == 8
    assert made == [4, 4]
    assert cache.set_many({"a": 1, "b": 2})
    assert cache.get_many("a", "b") == [1, 2]
    cache.clear()
    client.close()


# Locks, containers, rate limiters


def test_walrus(server: ServerProcess) -> None:
    walrus = pytest.importorskip("walrus")
    database = walrus.Database(host=HOST, port=server.port)
    array = database.Array("array")
    array.extend(["a", "b", "c"])
    array.append("d")
    assert array[1] == b"b"
    assert array.pop(1) == b"b"
    array[0] = "A"
    assert list(array) == [b"A", b"c", b"d"]
    with database.lock("lock", ttl=10_000):
        assert not database.lock("lock", ttl=10_000).acquire(block=False)
    limit = database.rate_limit("mylimit", limit=2, per=60)
    assert [limit.limit("alice") for _ in range(3)] == [False, False, True]
    lua = database.rate_limit_lua("other", limit=2, per=60)
    assert [lua.limit("alice") for _ in range(3)] == [False, False, True]
    cache = database.cache()
    made: list[int] = []

    @cache.cached(timeout=60)
    def double(number: int) -> int:
        made.append(number)
        return number * 2

    assert [double(2), double(2), made] == [4, 4, [2]]
    words = database.autocomplete()
    words.store("1", "testing code")
    words.store("2", "testing cats")
    assert list(words.search("testing co")) == ["testing code"]
    graph = database.graph("graph")
    graph.store("charlie", "likes", "huey")
    assert next(iter(graph.query(p="likes")))["s"] == "charlie"
    group = database.consumer_group("cg", ["stream"])
    group.create()
    group.set_id("$")
    database.Stream("stream").add({"f": "v"})
    assert len(group.read()) == 1
    assert database.cas("k", b"", b"x") == 1
    database.ZSet("z").add({"a": 1, "b": 2})
    database.close()


def test_pottery(url: str, client: Any) -> None:
    pottery = pytest.importorskip("pottery")
    masters = {client}
    lock = pottery.Redlock(key="lock", masters=masters, auto_release_time=10)
    with lock:
        assert lock.locked() > 0
        lock.extend()
        other = pottery.Redlock(key="lock", masters=masters)
        assert not other.acquire(blocking=False)
    assert not lock.locked()
    ids = pottery.NextID(key="ids", masters=masters)
    assert [next(ids) for _ in range(3)] == [1, 2, 3]
    found = pottery.RedisDict({"a": 1}, redis=client, key="dict")
    found["b"] = [1, 2]
    assert dict(found) == {"a": 1, "b": [1, 2]}
    assert sorted(pottery.RedisSet({1, 2, 3}, redis=client, key="set")) == [1, 2, 3]
    deque = pottery.RedisDeque([1, 2], redis=client, key="deque", maxlen=3)
    deque.extend([3, 4])
    assert list(deque) == [2, 3, 4]
    counter = pottery.RedisCounter("abca", redis=client, key="counter")
    assert counter.most_common(1) == [("a", 2)]
    bloom = pottery.BloomFilter(num_elements=100, false_positives=0.01, redis=client, key="bloom")
    bloom.add("x")
    assert "x" in bloom
    assert "y" not in bloom


def test_redlock_py(server: ServerProcess) -> None:
    redlock = pytest.importorskip("redlock")
    manager = redlock.Redlock([{"host": HOST, "port": server.port}], retry_count=1)
    lock = manager.lock("name", 10_000)
    assert lock
    assert not manager.lock("name", 10_000)
    manager.unlock(lock)
    assert manager.lock("name", 10_000)


def test_pyrate_limiter(client: Any) -> None:
    pyrate = pytest.importorskip("pyrate_limiter")
    bucket = pyrate.RedisBucket.init([pyrate.Rate(3, pyrate.Duration.HOUR)], client, "bucket")
    limiter = pyrate.Limiter(bucket)
    assert [limiter.try_acquire("x", blocking=False) for _ in range(4)] == [True] * 3 + [False]


def test_threads_with_each_lock(server: ServerProcess, client: Any) -> None:
    """Whatever the lock, one at a time."""
    redis_lock = pytest.importorskip("redis_lock")
    walrus = pytest.importorskip("walrus")
    pottery = pytest.importorskip("pottery")
    database = walrus.Database(host=HOST, port=server.port)
    locks: list[Callable[[], Any]] = [
        lambda: client.lock("one", timeout=20, sleep=0.001),
        lambda: redis_lock.Lock(client, "two", expire=20),
        lambda: database.lock("three", ttl=20_000),
        lambda: pottery.Redlock(key="four", masters={client}, auto_release_time=20),
    ]
    for number, make in enumerate(locks):
        inside: list[int] = []
        counted = 0

        def work(make: Callable[[], Any] = make, inside: list[int] = inside) -> None:
            nonlocal counted
            for _ in range(10):
                with make():
                    inside.append(1)
                    assert len(inside) == 1
                    counted += 1
                    inside.pop()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert counted == 40, number
    database.close()
