"""INFO field by field beside a redis-server that logs its writes, as tendis-py does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.server import Server
from tendis_py.stages.reactor import MOST_TURNS
from tendis_py.storage import key_sizes
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient, decode
from tests.support.servers import HOST, MODELS, redis_process, running, wait_until

LEFT_OUT = {
    "atomicvar_api": "Python has no such choice",
    "gcc_version": "it is not compiled",
    "module": "there are no modules",
    "reply_buffer_shrinks": "replies are not kept in a buffer of a client's own",
    "reply_buffer_expands": "likewise",
}
"""Fields of Redis that would mean nothing here, and why."""

OUR_OWN = {
    "Server": {"tendis_py_version", "python_version", "threading_model"},
    "Clients": {"peak_connected_clients"},
    "Memory": {
        "mem_work_queues",
        "mem_row_cache",
        "mem_row_cache_limit",
        "mem_order_indexes",
        "mem_order_indexes_limit",
        "mem_memtables",
        "mem_memtables_limit",
        "mem_block_cache",
        "mem_block_cache_limit",
        "mem_table_readers",
        "mem_total_limit",
    },
    "Stats": {"protocol_errors", "undeclared_keys_scripts"},
}
BY_NAME = {"Commandstats", "Errorstats", "Latencystats"}
"""Sections with a field for each command or error there was."""
OUR_SECTIONS = ["Stages", "RocksDB"]

Fields = dict[str, str]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path)) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as connected:
        yield connected


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    process = redis_process(tmp_path_factory.mktemp("redis"), "--appendonly", "yes")
    with running(process), process.client() as connected:
        yield connected


def ask(client: RawClient, line: str) -> str:
    reply = decode(client.command(*line.split()))
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def sections(client: RawClient, wanted: str = "everything") -> dict[str, Fields]:
    """Section → field → value, in order."""
    found: dict[str, Fields] = {}
    for line in ask(client, f"INFO {wanted}").split("\r\n"):
        if line.startswith("# "):
            fields = found[line[2:]] = {}
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value
    return found


def info(client: RawClient) -> Fields:
    return {name: value for it in sections(client).values() for name, value in it.items()}


ACTIVITY = (
    "SET k v",
    "SET k v PX 100000",
    "GET k",
    "GET nothing",
    "RPUSH l 1 2 3 4 5",
    "HSET h f v",
    "NOSUCH",
    "AUTH a b",
)


def test_every_field_is_there_in_redis_order(client: RawClient, real: RawClient) -> None:
    for line in ("FLUSHALL", *ACTIVITY):
        ask(client, line)
        ask(real, line)
    ours, theirs = sections(client), sections(real)
    assert [name for name in ours if name not in OUR_SECTIONS] == list(theirs)
    for title, fields in theirs.items():
        if title in BY_NAME:
            continue
        here = ours[title]
        assert fields.keys() - here.keys() - LEFT_OUT.keys() == set(), title
        extra = here.keys() - fields.keys() - {"io_thread_1"}
        assert extra == OUR_OWN.get(title, set()), title
        shared = [name for name in fields if name in here]
        assert [name for name in here if name in fields] == shared, title
    assert LEFT_OUT.keys() <= {name for it in theirs.values() for name in it}


SAME = (
    *("redis_version", "redis_mode", "arch_bits", "multiplexing_api", "process_supervised", "hz"),
    *("cluster_connections", "blocked_clients", "pubsub_clients", "total_watched_keys"),
    *("maxmemory", "maxmemory_human", "maxmemory_policy", "number_of_functions"),
    *("loading", "async_loading", "aof_enabled", "aof_last_write_status", "rdb_last_bgsave_status"),
    *("expired_keys", "keyspace_hits", "keyspace_misses", "total_error_replies", "evicted_keys"),
    *("acl_access_denied_cmd", "pubsub_channels", "sync_full"),
    *("role", "connected_slaves", "master_failover_state", "master_replid2", "repl_backlog_size"),
    *("second_repl_offset", "repl_backlog_active", "cluster_enabled"),
    *("errorstat_ERR", "errorstat_WRONGPASS"),
)


def test_what_must_be_equal_is(client: RawClient, real: RawClient) -> None:
    for each in (client, real):
        ask(each, "FLUSHALL")
        ask(each, "CONFIG RESETSTAT")
        for line in ACTIVITY:
            ask(each, line)
    ours, theirs = info(client), info(real)
    assert {name: ours[name] for name in SAME} == {name: theirs[name] for name in SAME}


def _number(value: str) -> bool:
    try:
        float(value.removesuffix("%"))
    except ValueError:
        return False
    return True


def _decimals(value: str) -> int:
    return len(value.rstrip("%").partition(".")[2])


def test_numbers_are_numbers_in_the_same_notation(client: RawClient, real: RawClient) -> None:
    ours, theirs = info(client), info(real)
    for name in theirs.keys() & ours.keys():
        if theirs[name].isdigit() and not name.endswith(("sha1", "build_id")):
            assert ours[name].lstrip("-").isdigit(), name
        elif _number(theirs[name]):
            assert _number(ours[name]), name
            assert _decimals(ours[name]) == _decimals(theirs[name]), name


def test_fields_that_expire_are_counted(client: RawClient) -> None:
    ask(client, "HSET h a 1 b 2 c 3")
    ask(client, "HPEXPIRE h 20 FIELDS 2 a b")
    wait_until(lambda: info(client)["expired_subkeys"] == "2", "both are swept away")
    assert info(client)["expired_keys"] == "0"
    ask(client, "DEBUG SET-ACTIVE-EXPIRE 0")
    ask(client, "HPEXPIRE h 1 FIELDS 1 c")
    ask(client, "HSET h d 4 e 5")
    wait_until(lambda: ask(client, "HEXISTS h c") == "0", "its time has come")
    ask(client, "HSET h f 6")
    assert info(client)["expired_subkeys"] == "3"
    ask(client, "HSET lone f v")
    ask(client, "HPEXPIRE lone 1 FIELDS 1 f")
    wait_until(lambda: ask(client, "HGET lone f") == "None", "its time has come")
    assert info(client)["expired_subkeys"] == "4"


def test_fields_of_a_large_hash_that_expire_are_counted(client: RawClient) -> None:
    ask(client, "CONFIG SET hash-max-listpack-entries 2")
    ask(client, "HSET h a 1 b 2 c 3 d 4")
    ask(client, "HPEXPIRE h 20 FIELDS 3 a b c")
    wait_until(lambda: info(client)["expired_subkeys"] == "3", "all are swept away")


def test_what_is_reclaimed_is_counted(client: RawClient) -> None:
    members = " ".join(f"member-{number}" for number in range(1000))
    for key in ("s1", "s2", "s3"):
        ask(client, f"SADD {key} {members}")
    ask(client, "UNLINK s1 s2")
    ask(client, "DEL s3")
    wait_until(lambda: int(info(client)["lazyfreed_objects"]) == 3, "they are reclaimed")
    wait_until(lambda: info(client)["lazyfree_pending_objects"] == "0", "nothing waits")


def test_what_waits_to_be_reclaimed_shows(server: Server, client: RawClient) -> None:
    ask(client, "CONFIG SET hz 1")
    members = " ".join(f"member-{number}" for number in range(1000))
    for number in range(20):
        ask(client, f"SADD s{number} {members}")
    for number in range(20):
        ask(client, f"UNLINK s{number}")
    most = 0

    def seen() -> bool:
        nonlocal most
        most = max(most, int(info(client)["lazyfree_pending_objects"]))
        return info(client)["lazyfreed_objects"] == "20"

    wait_until(seen, "they are reclaimed")
    assert most <= 20


PARTS = (
    "mem_clients_normal",
    "mem_work_queues",
    "mem_row_cache",
    "mem_order_indexes",
    "mem_memtables",
    "mem_block_cache",
    "mem_table_readers",
)
"""What is in use besides the program, by INFO's names."""


def test_memory_figures_agree(client: RawClient) -> None:
    found = info(client)
    used, resident = int(found["used_memory"]), int(found["used_memory_rss"])
    assert found["mem_fragmentation_ratio"] == f"{resident / used:.2f}"
    assert int(found["mem_fragmentation_bytes"]) == resident - used
    assert int(found["used_memory_overhead"]) + int(found["used_memory_dataset"]) == used
    assert used == int(found["used_memory_startup"]) + sum(int(found[name]) for name in PARTS)
    assert int(found["mem_total_limit"]) == int(found["used_memory_startup"]) + sum(
        int(found[f"{name}_limit"]) for name in PARTS if f"{name}_limit" in found
    )
    assert int(found["used_memory_peak"]) >= used
    assert abs(int(found["used_memory_peak_time"]) - time.time()) < 60


def test_the_event_loop_turns(client: RawClient) -> None:
    before = info(client)
    for _ in range(10):
        ask(client, "PING")
    after = info(client)
    for name in ("eventloop_cycles", "eventloop_duration_sum", "eventloop_duration_cmd_sum"):
        assert int(after[name]) > int(before[name]), name
    wait_until(
        lambda: int(info(client)["instantaneous_eventloop_cycles_per_sec"]) > 0, "a rate of turns"
    )


def test_expiry_costs_time(client: RawClient) -> None:
    for number in range(300):
        ask(client, f"SET k{number} v PX 1")
    wait_until(lambda: info(client)["expired_keys"] == "300", "all are swept away")
    assert int(info(client)["expire_cycle_cpu_milliseconds"]) >= 0


def test_failed_logins_are_counted_for_good(client: RawClient, real: RawClient) -> None:
    for each in (client, real):
        before = int(info(each)["acl_access_denied_auth"])
        ask(each, "AUTH a b")
        ask(each, "HELLO 3 AUTH a b")
        ask(each, "AUTH b")
        ask(each, "CONFIG RESETSTAT")
        assert int(info(each)["acl_access_denied_auth"]) == before + 2


# Sizes of keys

SIZED = (
    "FLUSHALL",
    "SET a 12345678",
    "SETRANGE b 0 x",
    "APPEND b yz",
    *(f"SETRANGE n{size} {size - 1} x" for size in (2, 3, 4, 7, 8, 15, 16, 1023, 1024, 1025)),
    "SETRANGE huge 3000000 x",
    "SETRANGE hugest 536000000 x",
    "RPUSH l 1 2 3 4 5",
    "RPUSH l2 1",
    "LPOP l2",
    "SADD s 1 2 3",
    "SADD s2 a b c",
    f"SADD s3 {' '.join(f'member{number}' for number in range(1000))}",
    "ZADD z 1 a",
    "GEOADD g 1 1 x",
    "HSET h a 1 b 2",
    "XADD x * a b",
    "PFADD hll a b",
    "SETBIT bits 100 1",
    "INCR counter",
    "SELECT 3",
    "SET x y",
    "SET y zzzz EX 1000",
    "RPUSH l a",
    "SELECT 0",
)


def test_key_sizes(client: RawClient, real: RawClient) -> None:
    for each in (client, real):
        for line in SIZED:
            ask(each, line)
        each.command("SET", "empty", "")
    ours, theirs = (sections(it, "keysizes")["Keysizes"] for it in (client, real))
    assert ours == theirs
    assert list(ours) == list(theirs)
    assert ours["db0_distrib_lists_items"] == "4=1"


def test_key_sizes_follow_every_change(client: RawClient) -> None:
    for size in range(1, 40):
        ask(client, f"RPUSH l {size}")
        shown = sections(client, "keysizes")["Keysizes"]
        assert shown == {"db0_distrib_lists_items": f"{1 << size.bit_length() >> 1}=1"}
    client.send(b"DEL l\r\nINFO keysizes\r\n")  # in one batch
    assert client.reply() == b":1\r\n"
    assert client.reply() == b"$12\r\n# Keysizes\r\n\r\n"


@pytest.mark.parametrize("model", MODELS)
def test_key_sizes_of_many_keys(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        pairs = [word for number in range(3000) for word in (f"k{number}", "x" * (number % 8))]
        client.command("MSET", *pairs)
        shown = sections(client, "keysizes")["Keysizes"]
        assert shown == {"db0_distrib_strings_sizes": "0=375,1=375,2=750,4=1500"}


def test_key_sizes_of_very_many_are_an_estimate(
    client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sizes, "SCANNED_KEYS", 1000)
    pairs = [word for number in range(4000) for word in (f"k{number}", "x" * (1 + number % 2))]
    client.command("MSET", *pairs)
    shown = sections(client, "keysizes")["Keysizes"]["db0_distrib_strings_sizes"]
    counts = {size: int(keys) for size, keys in (it.split("=") for it in shown.split(","))}
    assert counts.keys() == {"1", "2"}
    assert abs(sum(counts.values()) - 4000) <= 1
    assert all(1000 < keys < 3000 for keys in counts.values())


def test_what_took_long_to_count_is_remembered(
    server: Server, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sizes, "_REMEMBERED_SECONDS", 0.0)
    monkeypatch.setattr(key_sizes, "_REMEMBERED_TIMES", 10**9)
    ask(client, "SET k v")
    before = sections(client, "keysizes")["Keysizes"]
    ask(client, "SET k2 v")
    assert sections(client, "keysizes")["Keysizes"] == before
    ask(client, "FLUSHALL")
    assert sections(client, "keysizes")["Keysizes"] == {}


# CONFIG RESETSTAT

RESET_BY_REDIS = (
    *("total_commands_processed", "total_connections_received", "expired_keys", "keyspace_hits"),
    *("expired_subkeys", "lazyfreed_objects", "rdb_saves", "aof_rewrites", "total_error_replies"),
    *("expire_cycle_cpu_milliseconds", "evicted_keys"),
)


def test_resetstat_sets_back_what_redis_does(client: RawClient, real: RawClient) -> None:
    for each in (client, real):
        for line in (*ACTIVITY, "SAVE", "HSET h2 a 1 b 2", "HPEXPIRE h2 0 FIELDS 1 a"):
            ask(each, line)
        ask(each, "CONFIG RESETSTAT")
    ours, theirs = info(client), info(real)
    for name in RESET_BY_REDIS:
        assert int(ours[name]) == int(theirs[name]), name


def test_resetstat_sets_the_stages_back(client: RawClient) -> None:
    for _ in range(50):
        ask(client, "SET k v")
        ask(client, "KEYS *")
    before = sections(client, "stages")["Stages"]
    ask(client, "CONFIG RESETSTAT")
    after = sections(client, "stages")["Stages"]
    assert before.keys() == after.keys()
    for name, value in after.items():
        counts = {
            part: number for part, _, number in (it.partition("=") for it in value.split(","))
        }
        most = MOST_TURNS if name.startswith("stage_socket") else 3  # a look stands for turns
        for part in GROWING & counts.keys():
            assert float(counts[part]) <= most, (name, part)
    assert "calls=100" not in after["stage_execute"]
    assert int(before["stage_execute"].partition("calls=")[2].partition(",")[0]) >= 100


GROWING = frozenset(
    (
        *("calls", "batches", "inline", "queued", "paused_reads", "taken", "refused"),
        *("contended", "rotations", "stalls", "stalled_seconds", "responses_posted"),
        *("peak_requests", "responses_wakeups"),
    )
)
