"""INFO, CONFIG SET and SLOWLOG on a running server: what they say is so, what they change shows."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis._parsers.helpers import parse_info

from tendis_py.commands.context import Context
from tendis_py.commands.registry import REGISTRY
from tendis_py.config import Config
from tendis_py.resp.replies import Reply
from tendis_py.server import Server
from tests.support.embedded import config_for, embedded
from tests.support.resp import Disconnected, Error, RawClient, decode
from tests.support.servers import HOST, MODELS, wait_until

MB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as connected:
        yield connected


def ask(client: RawClient, line: str) -> Any:
    return decode(client.command(*line.split(" ")))


def info(client: RawClient, *sections: str) -> dict[str, Any]:
    """INFO as redis-py reads it."""
    text = ask(client, " ".join(["INFO", *sections])).decode()
    return dict(parse_info(text))  # type: ignore[no-untyped-call]


def titles(client: RawClient, *sections: str) -> list[str]:
    lines = ask(client, " ".join(["INFO", *sections])).decode().split("\r\n")
    return [line[2:] for line in lines if line.startswith("# ")]


def pairs(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


DEFAULT = [
    *("Server", "Clients", "Memory", "Persistence", "Threads", "Stats", "Replication", "CPU"),
    *("Modules", "Errorstats", "Cluster", "Keyspace"),
]


def test_sections(client: RawClient) -> None:
    every = [*DEFAULT]
    every.insert(every.index("Errorstats"), "Commandstats")
    every.insert(every.index("Cluster"), "Latencystats")
    every += ["Keysizes", "Stages", "RocksDB"]
    assert titles(client) == titles(client, "default") == DEFAULT
    assert titles(client, "all") == titles(client, "EVERYTHING") == every
    assert titles(client, "keyspace", "Server", "keyspace") == ["Server", "Keyspace"]
    assert titles(client, "stages", "default") == [*DEFAULT, "Stages"]
    assert titles(client, "nosuch") == []


def test_who_it_is(server: Server, client: RawClient) -> None:
    found = info(client, "server", "replication", "cluster")
    assert found["redis_version"] == "8.2.3"
    assert (found["redis_mode"], found["role"], found["cluster_enabled"]) == (
        "standalone",
        "master",
        0,
    )
    assert found["tcp_port"] == server.port
    assert len(found["run_id"]) == 40
    assert found["threading_model"] == server.config.threading_model


def test_figures_follow_what_happens(server: Server, client: RawClient) -> None:
    for line in ("SET k v", "SET t v PX 100000", "GET k", "GET nothing", "GET", "NOSUCH"):
        ask(client, line)
    with RawClient((HOST, server.port)):
        wait_until(lambda: info(client, "clients")["connected_clients"] == 2, "two clients")
    found = info(client, "everything")
    assert found["db0"] == {"keys": 2, "expires": 1, "avg_ttl": 0, "subexpiry": 0}
    assert found["cmdstat_get"]["calls"] == 2
    assert found["cmdstat_get"]["rejected_calls"] == 1
    assert found["cmdstat_set"]["wait_usec"] > 0
    assert found["errorstat_ERR"] == {"count": 2}
    assert (found["keyspace_hits"], found["keyspace_misses"]) == (1, 1)
    assert found["total_connections_received"] == 2
    assert found["total_net_input_bytes"] > found["total_error_replies"] == 2
    assert found["rdb_changes_since_last_save"] == 2
    assert found["used_memory"] > 10 * MB
    assert found["used_memory_peak"] >= found["used_memory"]
    assert found["stage_execute"]["calls"] > 6
    assert found["stage_execute"]["p50"] > 0
    for window in ("10s", "60s"):
        assert found[f"stage_execute_{window}"]["calls"] > 6
    assert found["stage_execute_fast_reactor"]["max"] >= found["stage_execute_fast_reactor"]["p99"]
    assert 0 <= found["executing_thread_reactor-0"]["busy"] <= 1
    assert 0 < found["inline_share"] <= 1
    assert found["reactor-0"]["connections"] >= 1
    assert found["cf_meta"]["rows_estimate"] == 2
    assert found["aof_current_size"] > 0


def test_resetstat(client: RawClient) -> None:
    ask(client, "GET nothing")
    assert ask(client, "CONFIG RESETSTAT").text == "OK"
    found = info(client, "commandstats", "stats")
    assert "cmdstat_get" not in found
    assert found["keyspace_misses"] == 0


def test_commands_a_second(client: RawClient) -> None:
    def busy() -> bool:
        for _ in range(50):
            ask(client, "PING")
        return bool(info(client, "stats")["instantaneous_ops_per_sec"] > 50)

    wait_until(busy, "a rate")


def test_info_is_quick(client: RawClient) -> None:
    """A bound that a scan of the data would break, not a benchmark."""
    for number in range(2000):
        client.send(b"*3\r\n$3\r\nSET\r\n$5\r\n%5d\r\n$1\r\nv\r\n" % number)
    for _ in range(2000):
        client.reply()
    durations = []
    for _ in range(30):
        began = time.perf_counter()
        ask(client, "INFO everything")
        durations.append(time.perf_counter() - began)
    assert min(durations) < 0.02  # whatever else the machine does


def test_the_block_cache_and_its_limit(server: Server, client: RawClient) -> None:
    assert ask(client, "CONFIG SET block-cache-size 3mb").text == "OK"
    assert info(client, "memory")["mem_block_cache_limit"] == 3 * MB
    assert info(client, "rocksdb")["block_cache_capacity"] == 3 * MB
    assert server.keyspace.engine.number("block-cache-capacity", 0) == 3 * MB


# CONFIG SET


def test_settings_take_effect(server: Server, client: RawClient) -> None:
    ask(
        client,
        "CONFIG SET cache-size 1mb work-queue-max-requests 7 work-queue-max-bytes 2mb "
        "slowlog-log-slower-than 5 slowlog-max-len 3 loglevel verbose latency-tracking no",
    )
    services = server.services
    assert services.keyspace.cache.limit == MB
    assert services.slowlog.threshold_ns == 5000
    assert server.queue is not None
    assert server.slow_queue is not None
    for queue in (server.queue, server.slow_queue):
        assert (queue.max_requests, queue.max_bytes) == (7, 2 * MB)
    assert info(client, "latencystats") == {}
    assert logging.getLogger("tendis_py").level == logging.INFO
    ask(client, "CONFIG SET loglevel notice")


def test_maxclients_may_not_exceed_the_descriptors(client: RawClient) -> None:
    reply = ask(client, "CONFIG SET maxclients 4000000000")
    assert isinstance(reply, Error)
    assert reply.message.startswith(
        "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system "
        "is not able to handle the specified number of clients, try with "
    )
    assert ask(client, "CONFIG GET maxclients") == [b"maxclients", b"10000"]


def test_engine_options(server: Server, client: RawClient) -> None:
    engine = server.keyspace.engine
    assert ask(client, "CONFIG SET rocksdb.disable_auto_compactions yes").text == "OK"
    text = "".join(path.read_text() for path in sorted(engine.path.glob("OPTIONS-*"), key=str)[-1:])
    assert text.count("disable_auto_compactions=true") == 6
    for refused in (
        "rocksdb.max_open_files 100",
        "rocksdb.nosuch 1",
        "rocksdb.write_buffer_size x",
    ):
        reply = ask(client, f"CONFIG SET {refused}")
        assert isinstance(reply, Error), refused
    assert ask(client, "CONFIG GET rocksdb.*") == [b"rocksdb.disable_auto_compactions", b"yes"]
    gone = decode(client.command("CONFIG", "SET", "rocksdb.disable_auto_compactions", ""))
    assert isinstance(gone, Error)


def test_longest_argument(server: Server, client: RawClient) -> None:
    with RawClient((HOST, server.port)) as other:
        ask(other, "PING")
        ask(client, "CONFIG SET proto-max-bulk-len 1mb")
        other.send(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (MB + 1))
        assert other.reply() == b"-ERR Protocol error: invalid bulk length\r\n"
    assert info(client, "stats")["protocol_errors"] == 1


def test_input_limit(server: Server, client: RawClient) -> None:
    ask(client, "CONFIG SET client-query-buffer-limit 1mb")
    with RawClient((HOST, server.port)) as greedy:
        head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (4 * MB)
        with contextlib.suppress(ConnectionError):
            greedy.send(head + bytes(4 * MB) + b"\r\n")
        with pytest.raises((Disconnected, ConnectionError)):
            greedy.reply()
    assert info(client, "stats")["client_query_buffer_limit_disconnections"] == 1
    with RawClient((HOST, server.port)) as modest:  # many small requests are not one large one
        modest.send(b"PING\r\n" * (2 * MB // 6))
        for _ in range(2 * MB // 6):
            modest.reply()


@pytest.mark.parametrize("limit", ["normal 2mb 0 0", "normal 0 1mb 1"])
def test_output_limit(server: Server, client: RawClient, limit: str) -> None:
    value = "v" * MB
    client.command("SET", "k", value)
    client.command("CONFIG", "SET", "client-output-buffer-limit", limit)
    with RawClient((HOST, server.port)) as deaf:
        deaf.send(b"GET k\r\n" * 12)
        began = time.monotonic()
        wait_until(
            lambda: info(client, "stats")["client_output_buffer_limit_disconnections"] == 1,
            "the client that does not read is closed",
        )
        took = time.monotonic() - began
    assert (took > 0.9) is ("1mb 1" in limit)


# SLOWLOG


def test_slow_commands_say_where_their_time_went(client: RawClient) -> None:
    ask(client, "DEBUG SLEEP 0.02")
    (entry,) = ask(client, "SLOWLOG GET")
    (staged,) = ask(client, "SLOWLOG STAGES")
    assert staged[:6] == entry
    assert entry[3] == [b"DEBUG", b"SLEEP", b"0.02"]
    stages = pairs(staged[6])
    assert list(stages) == [b"queue", b"lock", b"execute", b"batch", b"commit"]
    assert stages[b"execute"] == entry[2] >= 20_000
    assert all(us >= 0 for us in stages.values())


def test_time_in_the_pipeline_is_waiting(client: RawClient) -> None:
    ask(client, "CONFIG SET slowlog-log-slower-than 0")
    client.send(b"DEBUG SLEEP 0.03\r\nDEBUG SLEEP 0.01\r\n")
    assert [client.reply(), client.reply()] == [b"+OK\r\n"] * 2
    ask(client, "CONFIG SET slowlog-log-slower-than -1")
    late, early = ask(client, "SLOWLOG STAGES 2")
    assert [early[3][2], late[3][2]] == [b"0.03", b"0.01"]
    assert pairs(late[6])[b"queue"] >= 30_000
    assert info(client, "commandstats")["cmdstat_debug"]["wait_usec"] >= 30_000


def test_passwords_are_not_logged(client: RawClient) -> None:
    ask(client, "CONFIG SET slowlog-log-slower-than 0")
    ask(client, "CONFIG SET requirepass hush")
    ask(client, "CONFIG SET slowlog-log-slower-than -1 requirepass hush2")
    shown = str(ask(client, "SLOWLOG GET"))
    assert "hush" not in shown
    assert "(redacted)" in shown


# Others


def test_latency_monitor(client: RawClient) -> None:
    ask(client, "CONFIG SET slowlog-log-slower-than -1")
    ask(client, "DEBUG SLEEP 0.03")
    assert ask(client, "LATENCY LATEST") == []
    ask(client, "CONFIG SET latency-monitor-threshold 20")
    ask(client, "DEBUG SLEEP 0.005")
    ask(client, "DEBUG SLEEP 0.03")
    ask(client, "PING")
    ((name, second, last, worst),) = ask(client, "LATENCY LATEST")
    assert name == b"command"
    assert abs(second - time.time()) < 10
    assert worst == last >= 30
    assert ask(client, "LATENCY HISTORY command") == [[second, last]]
    assert ask(client, "LATENCY HISTORY fast-command") == []
    assert ask(client, "LATENCY GRAPH command").startswith(b"command - high %d ms" % worst)
    assert b"1. command: 1 latency spikes" in ask(client, "LATENCY DOCTOR")
    assert ask(client, "SLOWLOG LEN") == 0
    assert ask(client, "LATENCY RESET command") == 1
    assert ask(client, "LATENCY LATEST") == []


def test_fast_commands_are_an_event_of_their_own(server: Server, client: RawClient) -> None:
    ask(client, "CONFIG SET latency-monitor-threshold 1")
    with monkeypatched_ping(0.01):
        ask(client, "PING")
    assert [event[0] for event in ask(client, "LATENCY LATEST")] == [b"fast-command"]


@contextlib.contextmanager
def monkeypatched_ping(seconds: float) -> Iterator[None]:
    """Make PING take so long."""
    ping = REGISTRY.commands["ping"]
    handler = ping.handler

    def slow(ctx: Context, args: list[bytes]) -> Reply:
        time.sleep(seconds)
        return handler(ctx, args)

    ping.handler = slow
    try:
        yield
    finally:
        ping.handler = handler


def test_the_lower_of_two_thresholds_decides_what_is_looked_at(server: Server) -> None:
    slowlog, config = server.services.slowlog, server.config
    ms = 1_000_000
    assert slowlog.threshold_ns == 10 * ms
    config.set([(b"latency-monitor-threshold", b"2")])
    assert slowlog.threshold_ns == 2 * ms - 1  # from 2 ms on, where the slow log is for more than
    config.set([(b"slowlog-log-slower-than", b"1000")])
    assert slowlog.threshold_ns == ms
    config.set([(b"latency-monitor-threshold", b"0"), (b"slowlog-log-slower-than", b"-1")])
    assert slowlog.threshold_ns > 10**18


@pytest.mark.parametrize("fsync", ["everysec", "no", "always"])
@pytest.mark.parametrize("model", MODELS)
def test_waitaof_makes_what_was_written_durable(tmp_path: Path, model: str, fsync: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model, appendfsync=fsync)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        engine = server.keyspace.engine
        synced: list[bool] = []
        sync = engine.sync

        def watched() -> None:
            synced.append(engine.unsynced)
            sync()

        engine.sync = watched  # type: ignore[method-assign]
        client.send(b"SET k v\r\nWAITAOF 1 0 0\r\n")
        assert client.reply() == b"+OK\r\n"
        assert client.reply() == b"*2\r\n:1\r\n:0\r\n"
        assert any(synced)
        assert not engine.unsynced
        ask(client, "SET k v")
        if fsync == "no":
            assert engine.unsynced
        assert ask(client, "WAITAOF 0 1 10") == [1, 0]
        assert not engine.unsynced


def test_bgrewriteaof(client: RawClient) -> None:
    ask(client, "SET k v")
    reply = ask(client, "BGREWRITEAOF")
    assert reply.text == "Background append only file rewriting started"
    wait_until(
        lambda: info(client, "persistence")["aof_rewrite_in_progress"] == 0, "the log is rewritten"
    )
    found = info(client, "persistence")
    assert (found["aof_last_bgrewrite_status"], found["aof_rewrites"]) == ("ok", 1)
    assert (found["aof_rewrite_scheduled"], found["aof_rewrites_consecutive_failures"]) == (0, 0)
    assert found["aof_last_rewrite_time_sec"] >= 0
    assert found["rdb_saves"] == 0


def test_memory_stats(client: RawClient) -> None:
    ask(client, "SET k v")
    client.command("SELECT", "3")
    ask(client, "SET k v")
    found = pairs(ask(client, "MEMORY STATS"))
    assert found[b"keys.count"] == 2
    assert found[b"total.allocated"] >= found[b"startup.allocated"] > MB
    assert found[b"peak.allocated"] >= found[b"total.allocated"]
    assert {name for name in found if name.startswith(b"db.") and name[3:].isdigit()} == {
        b"db.0",
        b"db.3",
    }


def test_memory_doctor_and_purge(server: Server, client: RawClient) -> None:
    assert ask(client, "MEMORY DOCTOR").startswith(b"Hi Sam, this instance is empty")
    client.command("SET", "k", "v" * 6 * MB)
    assert ask(client, "MEMORY DOCTOR").startswith((b"Hi Sam, I can't find", b"Sam, I detected"))
    memory = server.services.memory
    memory.startup = 6 * MB - memory.use().dataset
    assert b" * High total RSS: This instance has" in ask(client, "MEMORY DOCTOR")
    assert ask(client, "MEMORY PURGE").text == "OK"


@pytest.mark.parametrize("setting", ["no", "local"])
def test_modules_are_refused(tmp_path: Path, setting: str) -> None:
    with (
        embedded(config_for(tmp_path, enable_module_command=setting)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        assert ask(client, "MODULE LIST") == []
        for line in ("LOAD /nosuch.so", "LOADEX /nosuch.so", "UNLOAD nosuch"):
            message = ask(client, f"MODULE {line}").message
            assert message.startswith("ERR MODULE command not allowed") is (setting == "no")
            assert setting == "no" or message.startswith("ERR Error ")


def test_debug_sleep_leaves_others_alone(server: Server, client: RawClient) -> None:
    with RawClient((HOST, server.port)) as sleeper:
        sleeping = threading.Thread(target=ask, args=(sleeper, "DEBUG SLEEP 0.5"))
        sleeping.start()
        began = time.monotonic()
        for _ in range(50):
            ask(client, "SET k v")
            ask(client, "INFO stages")
        assert sleeping.is_alive() or time.monotonic() - began > 0.5
        sleeping.join()


def test_nobody_may_debug_unless_told() -> None:
    assert Config().enable_debug_command == "no"


@pytest.mark.parametrize("subcommand", ["SLEEP 0", "HELP", "SET-ACTIVE-EXPIRE 1", "NOSUCH"])
@pytest.mark.parametrize(("setting", "allowed"), [("no", False), ("yes", True), ("local", True)])
def test_who_may_debug(tmp_path: Path, setting: str, allowed: bool, subcommand: str) -> None:
    with (
        embedded(config_for(tmp_path, enable_debug_command=setting)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        reply = ask(client, f"DEBUG {subcommand}")
        refused = isinstance(reply, Error) and reply.message.startswith(
            "ERR DEBUG command not allowed. If the enable-debug"
        )
        assert refused is not allowed


@pytest.mark.parametrize("line", ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE NOW FORCE"])
def test_shutdown(tmp_path: Path, line: str) -> None:
    with embedded(config_for(tmp_path)) as server, RawClient((HOST, server.port)) as client:
        ask(client, "SET k v")
        with pytest.raises(Disconnected):
            ask(client, line)
    with embedded(config_for(tmp_path)) as server, RawClient((HOST, server.port)) as client:
        assert ask(client, "GET k") == b"v"


def test_bgsave(client: RawClient) -> None:
    ask(client, "SET k v")
    assert ask(client, "BGSAVE").text == "Background saving started"
    wait_until(lambda: info(client, "persistence")["rdb_bgsave_in_progress"] == 0, "saved")
    found = info(client, "persistence")
    assert found["rdb_last_bgsave_status"] == "ok"
    assert (found["rdb_changes_since_last_save"], found["rdb_saves"]) == (0, 1)
    assert found["rdb_last_save_time"] == ask(client, "LASTSAVE")


def test_histogram(client: RawClient) -> None:
    for _ in range(3):
        ask(client, "SET k v")
    name, figures = ask(client, "LATENCY HISTOGRAM set nosuch")
    assert name == b"set"
    shown = pairs(figures)
    assert shown[b"calls"] == 3
    assert list(pairs(shown[b"histogram_usec"]).values())[-1] == 3
    ask(client, "SLOWLOG LEN")
    ask(client, "SLOWLOG RESET")
    found = pairs(ask(client, "LATENCY HISTOGRAM slowlog"))
    assert set(found) == {b"slowlog|len", b"slowlog|reset"}
    assert list(pairs(ask(client, "LATENCY HISTOGRAM slowlog|LEN"))) == [b"slowlog|len"]


def test_latency_tracking_may_be_off_from_the_start(tmp_path: Path) -> None:
    with (
        embedded(config_for(tmp_path, latency_tracking="no")) as server,
        RawClient((HOST, server.port)) as client,
    ):
        ask(client, "SET k v")
        assert ask(client, "LATENCY HISTOGRAM set") == []
        ask(client, "CONFIG SET latency-tracking yes")
        ask(client, "SET k v")
        assert pairs(ask(client, "LATENCY HISTOGRAM set")[1])[b"calls"] == 1
        assert info(client, "commandstats")["cmdstat_set"]["calls"] == 2
