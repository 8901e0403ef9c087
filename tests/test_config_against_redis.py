"""The same CONFIG commands, files and patterns, asked of a real redis-server: the truth."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.config import (
    Config,
    ConfigError,
    ConfigRewriteError,
    ConfigSetError,
    load_config,
    parse_command_line,
)
from tendis_py.config.kinds import Only
from tendis_py.config.settings import DIRECTIVES
from tendis_py.glob import compile_glob
from tests.support.servers import (
    HOST,
    ServerProcess,
    free_port,
    redis_server_path,
    running,
)

SERVER = redis_server_path()

OURS = {
    "threading-model",
    "executor-threads",
    "block-cache-size",
    "otel-endpoint",
    "otel-sample-ratio",
    "slowlog-total-slower-than",
    "cache-size",
    "rocksdb",
    "dashboard-port",
    "dashboard-bind",
    "work-queue-max-requests",
    "work-queue-max-bytes",
    "work-queue-handoff",
    "lua-memory-limit",
}
LISTENING = {"bind", "port", "requirepass"}  # would cut us off
COMPARED = sorted(
    name
    for it in DIRECTIVES
    if it.name not in OURS | LISTENING and not (it.runtime and isinstance(it.kind, Only))
    for name in (it.name, *it.aliases)
)
OTHERWISE = {
    "io-threads": "0 leaves it to the threading model",
    "save": "no snapshot is made",
    "appendonly": "every write is logged",
    "dir": "the test's own",
    "port": "the test's own",
    "bind": "the test's own",
}
"""Why the default is not Redis'."""
NUMBERS = (
    "0 1 -1 -2 -3 01 +1 1.5 501 65536 100000 1048576 2147483648 -2147483649 4294967296 "
    "9223372036854775807 9223372036854775808 18446744073709551615 99999999999999999999999"
)
SIZES = "1kb 2MB 5k 1gb 7x abc yes NO Always DEBUG"
VALUES = [
    *NUMBERS.split(),
    *SIZES.split(),
    *["", " 1", "50 99.5", "100 0.001", "50 101", "0 x", "-1 5"],
    *["normal 1 2", "normal 1kb 2 3", "slave 1 1 1 pubsub 2 2 2", "nobody 1 2 3"],
    *["normal -1 2 3", "normal 1 2 x", "normal 1 2 3 "],
    *["KEA", "Kg$lszhxetdn", "Elg", "AKEmn", "ZK", "900 1", "900 1 300 10", "9 1 9", "0 1", "1 -1"],
    *["save now", "NOW SAVE force", "save nosave", "default now", "now  save", "save x"],
    *["5%", "101%", "%", "-5%", "1 2 3", "1 2 3001", "1 2 x", "3 2 1", "a/b", "dump.rdb"],
    *["a b", "a.b-c", "a_b", "x" * 300, "a$b", "C", "xx_XX", "allkeys-lru", "swapdb", "hostname"],
    *["{title}", "{title} {port}", "{foo}", "x{", "{{x", "{config-file}", "{unixsocket}", "x}"],
]


class Real:
    """A connection to a real redis-server, over which nothing is decoded or renamed."""

    def __init__(self, port: int) -> None:
        connection: Any = redis.Connection  # it has no types
        self._connection = connection(port=port, protocol=3)

    def __call__(self, *words: str | bytes) -> Any:
        self._connection.send_command(*words)
        return self._connection.read_response()

    def get(self, *patterns: str) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = self("CONFIG", "GET", *patterns)
        return found

    def refusal(self, *words: str) -> str:
        """Return the error reply to ``words``, or OK."""
        try:
            self(*words)
        except redis.ResponseError as error:
            return str(error)
        return "OK"

    def close(self) -> None:
        self._connection.disconnect()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [str(SERVER), "--port", str(port), "--save", "", "--bind", HOST, "--dir", str(folder)]
    with running(ServerProcess([*command, "--appendonly", "yes"], folder, (HOST, port))):
        server = Real(port)
        server("CLIENT", "NO-EVICT", "ON")  # maxmemory-clients is tried, too
        yield server
        server.close()


def set_here(config: Config, name: str, value: str) -> str:
    try:
        config.set([(name.encode(), value.encode())])
    except ConfigSetError as error:
        return error.message.removeprefix("ERR ")
    return "OK"


@pytest.mark.parametrize("name", COMPARED)
def test_config_set_and_get_answer_the_same(real: Real, name: str) -> None:
    config = Config()
    before = real.get(name)
    assert name in OTHERWISE or config.get([name.encode()]) == before
    unchanged = real.refusal("CONFIG", "SET", name, before[name.encode()].decode())
    if unchanged.endswith(("immutable config", "protected config")):
        assert set_here(config, name, "x") == unchanged
        return
    for value in VALUES:
        if name == "maxclients" and value in ("65536", "100000", "1048576", "2147483648"):
            continue  # there the file descriptors of this machine decide
        answer = real.refusal("CONFIG", "SET", name, value)
        assert set_here(config, name, value) == answer, value
        assert config.get([name.encode()]) == real.get(name), value
    assert real("CONFIG", "SET", name, before[name.encode()]) == b"OK"


def test_every_directive_is_known_with_its_default(real: Real) -> None:
    theirs, ours = real.get("*"), Config().get([b"*"])
    assert len(theirs) == 205
    assert theirs.keys() - ours.keys() == set()
    differ = {name.decode() for name in theirs if ours[name] != theirs[name]}
    assert differ == OTHERWISE.keys() - {"save", "appendonly"}  # the fixture sets those two
    assert {name.decode() for name in ours.keys() - theirs.keys()} | {"rocksdb"} == OURS


@pytest.mark.parametrize(
    "pairs",
    [
        ["dir", "/tmp"],
        ["dbfilename", "x", "dbfilename", "y"],
        ["hz", "1", "replicaof", "x"],
        ["foo", "1"],
        ["maxclients", "0", "foo", "1"],
        ["databases", "1"],
        ["hz", "1", "HZ", "2"],
        ["hz", "30", "timeout", "-1", "tcp-keepalive", "x"],
        ["tcp-backlog", "x", "foo", "1"],
    ],
)
def test_refusals_of_several_are_the_same(real: Real, pairs: list[str]) -> None:
    there = real.refusal("CONFIG", "SET", *pairs)
    config = Config()
    words = [word.encode() for word in pairs]
    with pytest.raises(ConfigSetError) as here:
        config.set(list(zip(words[::2], words[1::2], strict=True)))
    assert here.value.message == f"ERR {there}"
    assert config.get([b"hz"]) == real.get("hz")


def test_rewriting_without_a_file_is_refused_alike(real: Real) -> None:
    with pytest.raises(ConfigRewriteError) as here:
        Config().rewrite()
    assert here.value.message == f"ERR {real.refusal('CONFIG', 'REWRITE')}"


REWRITTEN = """\
# comment
slave-priority 50
maxmemory 100mb
save 900 1
save 300 10
notify-keyspace-events ""
lua-time-limit 100
oom-score-adj-values 1 2 3
shutdown-on-sigterm save now
client-output-buffer-limit slave 1 2 3
tls-ciphers "abc"
dbfilename x.rdb
"""
CHANGES = {
    "maxmemory": "1gb",
    "maxmemory-policy": "allkeys-lru",
    "replica-priority": "100",
    "notify-keyspace-events": "KEA",
    "oom-score-adj-values": "0 200 800",
    "shutdown-on-sigint": "nosave force",
    "repl-backlog-size": "2mb",
    "list-compress-depth": "1",
    "maxmemory-clients": "5%",
    "tls-ciphers": "",
    "proc-title-template": "{title} x",
    "masterauth": "a b",
    "latency-monitor-threshold": "200",
    "appendfsync": "always",
    "cluster-announce-hostname": "h.x",
    "min-slaves-to-write": "2",
    "save": "5 6 7 8",
}
REWRITTEN_ANYWAY = ("port ", "dir ", "user ", "latency-tracking-info-percentiles ")


def test_rewritten_lines_are_the_same(tmp_path: Path) -> None:
    there, here = tmp_path / "there.conf", tmp_path / "here.conf"
    for file in (there, here):
        file.write_text(REWRITTEN)
    port = free_port()
    command = [str(SERVER), str(there), "--port", str(port), "--dir", str(tmp_path)]
    with running(ServerProcess(command, tmp_path, (HOST, port))):
        server = Real(port)
        assert [server.refusal("CONFIG", "SET", *it) for it in CHANGES.items()] == ["OK"] * 17
        server("CONFIG", "REWRITE")
        server.close()
    config = load_config(parse_command_line([str(here)]))
    config.set([(name.encode(), value.encode()) for name, value in CHANGES.items()])
    config.rewrite()
    theirs, ours = (
        sorted(line for line in file.read_text().splitlines() if line) for file in (there, here)
    )
    assert [line for line in ours if not line.startswith(REWRITTEN_ANYWAY)] == [
        line for line in theirs if not line.startswith(REWRITTEN_ANYWAY)
    ]


def test_names_are_answered_in_the_same_spelling(real: Real) -> None:
    patterns = ["HASH-Max-Ziplist-Value", "hash-max-ziplist-*", "Stream-Node-*", "nonsense"]
    assert Config().get([pattern.encode() for pattern in patterns]) == real.get(*patterns)


@pytest.mark.parametrize(
    "text",
    [
        "maxclients 0",
        "\n# c\n MAXCLIENTS",
        "maxclients 1 2",
        'requirepass "abc',
        'requirepass "abc"d',
        "appendfsync x",
        "include",
        "client-output-buffer-limit normal 0 0",
        "client-query-buffer-limit 1",
        "latency-tracking x",
        "unixsocketperm 999",
        "unixsocketperm 1000",
        "unixsocketperm -1",
        "dir /nonexistent",
        'dir ""',
        "port 70000",
        "databases 0",
        "tcp-backlog -1",
        "enable-debug-command maybe",
        '""',
        "bind a b c d e f g h i j k l m n o p q",
        "list-max-ziplist-size x",
        "latency-tracking-info-percentiles 101",
        "appendfilename a/b",
        'appendfilename ""',
        "appenddirname a/b",
        'appenddirname ""',
        "dbfilename a/b",
        "replicaof a b",
        "replicaof a",
        "slaveof a 70000",
        "save 900",
        "save 900 1\nsave 300",
        "oom-score-adj-values 1 2",
        "notify-keyspace-events K E",
        "notify-keyspace-events Q",
        "shutdown-on-sigterm save x",
        "syslog-facility local9",
        "supervised maybe",
        "daemonize x",
        "cluster-enabled x",
        "server_cpulist 1,2 3",
        'cluster-announce-hostname "a b"',
        'proc-title-template "{x}"',
        "enable-module-command x",
        "socket-mark-id -1",
        "socket-mark-id 4294967296",
        "io-threads-do-reads",
    ],
)
def test_bad_lines_are_refused_alike(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.conf"
    file.write_text(text + "\n")
    done = subprocess.run([SERVER, file], capture_output=True, text=True, timeout=10)
    there = re.sub(r"\(Redis .*\)", "(server)", done.stderr + done.stdout).strip()
    with pytest.raises(ConfigError) as error:
        load_config(parse_command_line([str(file)]))
    here = re.sub(r"\(tendis-py .*\)", "(server)", str(error.value))
    assert here.replace(f" of {file}", "") == there


pieces = st.sampled_from([b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"B", b"\xff"])
letters = st.sampled_from([b"a", b"B", b"]", b"-", b"\xff"])
patterns = st.lists(pieces, max_size=8).map(b"".join)
keys = st.binary(max_size=3) | st.lists(letters, max_size=4).map(b"".join)


@settings(max_examples=400)
@given(pattern=patterns, key=keys)
def test_keys_matches_the_same(real: Real, pattern: bytes, key: bytes) -> None:
    real("FLUSHALL")
    real("SET", key, b"")
    assert compile_glob(pattern)(key) is (real("KEYS", pattern) == [key])


@pytest.mark.parametrize("stars", [999, 1000, 1001])
@pytest.mark.parametrize(("before", "after"), [("", ""), ("a", ""), ("", "*"), ("*", "a")])
def test_the_same_number_of_stars_is_too_many(
    real: Real, stars: int, before: str, after: str
) -> None:
    key = b"a" * 3000
    real("FLUSHALL")
    real("SET", key, b"")
    pattern = (before + "*?" * stars + after).encode()
    assert compile_glob(pattern)(key) is (real("KEYS", pattern) == [key])


words = st.sampled_from(
    ["*", "?", "max", "MAX", "[a-M]", "[^x]", "e", "-", "size", "S", "hash", "\\"]
)


@settings(max_examples=300)
@given(pattern=st.lists(words, min_size=1, max_size=6).map("".join))
def test_config_get_matches_the_same(real: Real, pattern: str) -> None:
    theirs = {name for name in real.get(pattern) if name.decode() in COMPARED}
    assert {n for n in Config().get([pattern.encode()]) if n.decode() in COMPARED} == theirs
