"""Users in files, over a restart; whose secrets are shown to nobody; and who is seen at once.

What users may do is in ``transcripts/acl.txt`` and ``tests/model/test_acl.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.config import Invocation, load_config
from tendis_py.config.syntax import ConfigError
from tendis_py.errors import StorageError
from tendis_py.server import Server
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, ServerProcess, redis_server_path, running, tendis_process

SECONDS = 30
OK = b"+OK\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running(tendis_process(tmp_path_factory.mktemp("acl"))) as server:
        yield server


def client_of(server: Server) -> RawClient:
    return RawClient((HOST, server.services.port))


def configured(folder: Path, *lines: str) -> Any:
    """The configuration of a file in ``folder`` with these lines, and what a server needs."""
    path = folder / "tendis.conf"
    path.write_text("".join(f"{line}\n" for line in (f"dir {folder}", f"bind {HOST}", *lines)))
    return load_config(Invocation(config_file=str(path)))


def words(text: str) -> list[str]:
    return text.split(" ")


# Files

ACL_FILE = b"""
user default on nopass ~* &* +@all
user alice on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~app:* +get
  user bob off (+get ~x) +@all
"""


def test_an_acl_file_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "users.acl"
    path.write_bytes(ACL_FILE)
    config = config_for(tmp_path, aclfile=str(path))
    with embedded(config) as server, client_of(server) as client:
        listed = client.value("ACL", "LIST")
        assert [line.split()[1] for line in listed] == [b"alice", b"bob", b"default"]
        assert client.command("AUTH", "alice", "secret") == OK
        assert client.command("SET", "app:1", "x").startswith(b"-NOPERM")
        assert client.command("AUTH", "default", "") == OK
        client.value("ACL", "SETUSER", "carol", "on", '>p"', '~a"b', '(~"c\\"d" +get)')
        assert client.command("ACL", "SAVE") == OK
        listed = client.value("ACL", "LIST")
        assert client.command("ACL", "LOAD") == OK
        assert client.value("ACL", "LIST") == listed
        path.write_bytes(b"user alice on nopass\nfoo\nuser alice\n")
        complaint = (
            f"-ERR {path}:2 should start with user keyword followed by the username. WARNING: "
            "Duplicate user 'alice' found on line 3. WARNING: ACL errors detected, no change to "
            "the previously active ACL rules was performed\r\n"
        )
        assert client.command("ACL", "LOAD") == complaint.encode()
        assert client.value("ACL", "LIST") == listed
        assert client.command("ACL", "SAVE") == OK
    with embedded(config) as server, client_of(server) as client:
        assert client.value("ACL", "LIST") == listed
        os.unlink(path)
        os.mkdir(path)  # where nothing can be written, nor is anything left behind
        assert client.command("ACL", "SAVE").startswith(b"-ERR There was an error trying to save")
        assert client.command("ACL", "LOAD").startswith(b"-ERR Error loading ACLs, opening file")
    assert os.listdir(tmp_path / "users.acl") == []
    assert not [name for name in os.listdir(tmp_path) if name.startswith("users.acl.")]


def test_who_is_not_in_the_file_any_more_is_disconnected(tmp_path: Path) -> None:
    path = tmp_path / "users.acl"
    path.write_bytes(b"user alice on nopass ~* &* +@all\nuser bob on nopass ~* &* +@all\n")
    config = config_for(tmp_path, aclfile=str(path))
    with embedded(config) as server, client_of(server) as admin:
        alice, bob, listener = (client_of(server) for _ in range(3))
        with alice, bob, listener:
            for client, name in ((alice, "alice"), (bob, "bob"), (listener, "alice")):
                assert client.command("AUTH", name, "x") == OK
            listener.value("SUBSCRIBE", "a")
            path.write_bytes(b"user alice on nopass ~x &b +@all\n")
            assert admin.command("ACL", "LOAD") == OK
            assert bob.until_closed() == b""
            assert listener.until_closed() == b""
            assert alice.command("GET", "a").startswith(b"-NOPERM")
            assert alice.value("GET", "x") is None
            assert admin.value("ACL", "USERS") == [b"alice", b"default"]


def test_users_of_the_configuration_are_rewritten(tmp_path: Path) -> None:
    config = configured(
        tmp_path, "requirepass p", "user alice on nopass ~a (+get ~b)", "user bob off", "port 0"
    )
    with embedded(config) as server, client_of(server) as client:
        assert client.command("GET", "a") == b"-NOAUTH Authentication required.\r\n"
        assert client.command("AUTH", "p") == OK
        client.value("ACL", "SETUSER", "alice", "+set", '~"', '(~"c\\"d")')
        client.value("ACL", "DELUSER", "bob")
        listed = client.value("ACL", "LIST")
        assert client.command("CONFIG", "REWRITE") == OK
    text = (tmp_path / "tendis.conf").read_text()
    assert "bob" not in text
    again = load_config(Invocation(config_file=str(tmp_path / "tendis.conf")))
    with embedded(again) as server, client_of(server) as client:
        assert client.command("AUTH", "p") == OK
        assert client.value("ACL", "LIST") == listed


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("user alice foo", "Error in user declaration 'foo': Syntax error"),
        ("user alice ~* ~a", "Error in user declaration '~a': Adding a pattern after the *"),
        ("user alice +foo", "Error in user declaration '+foo': Unknown command or category"),
        ("user alice (+get", "Error in user declaration '(+get': Unmatched parenthesis"),
        ("user 'a b' on", "Spaces not allowed in ACL usernames"),
        ("user", "Bad directive or wrong number of arguments"),
    ],
)
def test_a_wrong_user_is_named_with_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Server(configured(tmp_path, line), port=0)
    assert complaint in str(caught.value)
    assert f"line 3 of {tmp_path}" in str(caught.value)
    assert f">>> '{line}'" in str(caught.value)


def test_a_user_is_defined_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Duplicate user found"):
        Server(configured(tmp_path, "user a on", "user a off"), port=0)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["aclfile PATH", "user a on"], "please define either an ACL file or declare users"),
        (["aclfile PATH.not"], "Error loading ACLs, opening file"),
        (["aclfile PATH"], "Syntax error"),
    ],
)
def test_what_ends_the_start(tmp_path: Path, lines: list[str], complaint: str) -> None:
    path = tmp_path / "users.acl"
    path.write_bytes(b"user a foo\n")
    config = configured(tmp_path, *(line.replace("PATH", str(path)) for line in lines))
    for _ in range(2):  # the data folder is given back
        with pytest.raises(StorageError, match=complaint):
            Server(config, port=0)


def test_a_process_says_why_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "users.acl").write_bytes(b"user a foo\n")
    (tmp_path / "tendis.conf").write_text("port 0\nunixsocket s\naclfile users.acl\n")
    said = []
    for program in ([sys.executable, "-m", "tendis_py"], [str(redis_server_path())]):
        done = subprocess.run(
            [*program, str(tmp_path / "tendis.conf"), "--dir", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 1
        said.append((done.stdout + done.stderr).partition("because of ACL errors: ")[2])
    ours, theirs = said
    assert ours.splitlines()[0] == theirs.splitlines()[0] != ""


# Secrets


def test_nobody_is_shown_a_password(server: ServerProcess, redis_server: ServerProcess) -> None:
    seen = []
    for each in (server, redis_server):
        with each.client() as client, each.client() as monitor:
            client.value("CONFIG", "SET", "slowlog-log-slower-than", "0")
            client.value("SLOWLOG", "RESET")
            monitor.value("MONITOR")
            client.value("ACL", "SETUSER", "alice", "on", ">secret", "+ping")
            client.command("AUTH", "alice", "wrong-secret")
            client.value("ACL", "GETUSER", "alice")
            client.value("ACL", "DELUSER", "alice")
            client.value("CONFIG", "SET", "slowlog-log-slower-than", "10000")
            entries = [entry[3] for entry in client.value("SLOWLOG", "GET")]
            client.value("ACL", "LOG", "RESET")
            client.value("PING")
            shown = b""
            while b'"PING"' not in shown:
                shown += monitor.line()
        assert b"secret" not in shown
        assert b"secret" not in repr(entries).encode()
        seen.append(([line.partition(b"] ")[2] for line in shown.split(b"\r\n")], entries))
    assert seen[0][1] == seen[1][1]


# At once, whoever changes it


CHANGING, ALLOWED, DENIED = 0, 1, 3
"""Modulo 4; 2 is CHANGING, too."""


def test_a_change_is_seen_by_all_that_comes_after_it(server: ServerProcess) -> None:
    """By several connections at once, in pipelines and one by one."""
    with server.client() as admin:
        admin.value("ACL", "SETUSER", "alice", "on", "nopass", "~*", "+@all")
        clients = [server.client() for _ in range(4)]
        for client in clients:
            client.value("AUTH", "alice", "x")
        epoch = CHANGING
        wrong: list[bytes] = []
        done = threading.Event()

        def work(client: RawClient, pipelined: int) -> None:
            while not done.is_set():
                before = epoch
                replies = client.pipeline([[b"GET", b"x"]] * pipelined)
                if before == epoch and before % 4 in (ALLOWED, DENIED):
                    denied = [reply.startswith(b"-NOPERM") for reply in replies]
                    if any(denied) is not (before % 4 == DENIED) or any(denied) is not all(denied):
                        wrong.append(replies[0])

        threads = [
            threading.Thread(target=work, args=(client, pipelined))
            for client, pipelined in zip(clients, (1, 1, 8, 8), strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            for rule in ("+@all", "-get") * 30:
                admin.value("ACL", "SETUSER", "alice", rule)
                epoch += 1
                for _ in range(10):
                    admin.value("PING")
                epoch += 1
        finally:
            done.set()
            for thread in threads:
                thread.join(SECONDS)
        assert wrong == []
        for client in clients:
            assert client.command("GET", "x").startswith(b"-NOPERM")
        admin.value("ACL", "DELUSER", "alice")
        for client in clients:
            assert client.until_closed() == b""
            client.close()
        admin.value("ACL", "LOG", "RESET")


# The log

DENIED: list[tuple[str, ...]] = [
    ("AUTH", "alice", "no"),
    ("AUTH", "alice", "no"),
    ("auth", "nobody", "no"),
    ("HELLO", "3", "AUTH", "alice", "no"),
    ("AUTH", "alice", "yes"),
    ("GET", "b"),
    ("get", "b"),
    ("MGET", "app:1", "c", "d"),
    ("CONFIG", "GET", "port"),
    ("KEYS", "*"),
    ("PUBLISH", "x", "y"),
    ("SUBSCRIBE", "news", "x"),
    ("PSUBSCRIBE", "news*"),
    ("MULTI",),
    ("GET", "b"),
    ("AUTH", "alice", "no"),
    ("EXEC",),
    ("EVAL", "return redis.pcall('get', 'b')", "0"),
    ("EVAL", "return {redis.acl_check_cmd('get', 'b')}", "0"),
    *(("GET", f"k{number}") for number in range(11)),
    ("GET", "b"),
    ("GET", "k10"),
]


def _fields(entry: list[Any]) -> dict[bytes, Any]:
    return dict(zip(entry[::2], entry[1::2], strict=True))


def test_the_log_is_that_of_the_real_server(
    server: ServerProcess, redis_server: ServerProcess
) -> None:
    logs = []
    for each in (server, redis_server):
        with each.client() as admin, each.client() as client:
            admin.value("ACL", "LOG", "RESET")
            admin.value(
                "ACL", "SETUSER", "alice", "reset", "on", ">yes", "~app:*", "&news", "+@all"
            )
            admin.value("ACL", "SETUSER", "alice", "-@dangerous")
            for request in DENIED:
                client.command(*request)
            entries = [_fields(entry) for entry in admin.value("ACL", "LOG", "100")]
            first = entries[-1][b"entry-id"]
            for entry in entries:
                entry[b"entry-id"] -= first
                assert 0 <= float(entry.pop(b"age-seconds")) < SECONDS
                created = entry.pop(b"timestamp-created")
                assert created <= entry.pop(b"timestamp-last-updated")
                fields = dict(it.partition(b"=")[::2] for it in entry[b"client-info"].split(b" "))
                entry[b"client-info"] = [fields.pop(it) for it in (b"cmd", b"user", b"multi")]
                entry[b"fields"] = list(fields)
            admin.value("ACL", "DELUSER", "alice")
            admin.value("ACL", "LOG", "RESET")
            logs.append(entries)
    for ours, theirs in zip(*logs, strict=True):
        assert ours == theirs
