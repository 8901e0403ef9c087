"""DEBUG: what the transcripts can't ask, for the answer is not Redis' or others work meanwhile."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from tendis_py.commands.debug.forms import FORMS
from tests.support.embedded import HOST, config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess

CRASHING = ("ASSERT", "CRASH-AND-RECOVER", "LEAK x", "OOM", "PANIC", "RESTART", "SEGFAULT")
KEYS = 3000


@pytest.mark.parametrize("form", CRASHING)
def test_nobody_crashes_the_server(tendis_default: ServerProcess, form: str) -> None:
    with tendis_default.client() as client:
        reply = client.command("DEBUG", *form.split())
        assert reply.endswith(b" is not supported by tendis-py\r\n")
        assert client.command("PING") == b"+PONG\r\n"


def test_help_names_what_works(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        lines = client.command("DEBUG", "HELP").split(b"\r\n")
    shown = {line[1:].split()[0].lower() for line in lines[2:] if line[1:2] not in (b" ", b"")}
    assert shown == {name for name, form in FORMS.items() if form.help} | {b"help"}


def test_push_and_the_reply_after_it(tendis: ServerProcess, redis_server: ServerProcess) -> None:
    kinds = b"DEBUG PROTOCOL push\r\nDEBUG PROTOCOL attrib\r\n"
    request = kinds + b"MULTI\r\n" + kinds + b"EXEC\r\nCLIENT TRACKING ON\r\n" + kinds
    request += b"ECHO end\r\n"
    answers = []
    for server in (tendis, redis_server):
        with server.client(protocol=3) as client:
            client.send(request)
            answers.append(list(iter(client.line, b"end\r\n")))
    assert answers[0] == answers[1]


def test_nothing_is_lost_while_the_folder_is_reloaded(tendis: ServerProcess) -> None:
    """Others write, iterate and delete large collections meanwhile."""
    errors: list[bytes] = []
    stopped = threading.Event()

    def work(number: int) -> None:
        with tendis.client() as client:
            for turn in range(KEYS):
                requests = [
                    [b"SET", b"reload:%d:%d" % (number, turn), b"v"],
                    [b"SADD", b"set:%d" % number, b"%d" % turn, b"a"],
                    [b"SCAN", b"0"],
                ]
                errors.extend(one for one in client.pipeline(requests) if one.startswith(b"-"))
                if stopped.is_set():
                    written[number] = turn + 1
                    return
            written[number] = KEYS

    written: dict[int, int] = {}
    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    with tendis.client(seconds=30) as client:
        client.command("FLUSHALL")
        for worker in workers:
            worker.start()
        for _ in range(5):
            assert client.command("DEBUG", "RELOAD") == b"+OK\r\n"
            assert client.command("KEYS", "nosuch*") == b"*0\r\n"
        stopped.set()
        for worker in workers:
            worker.join(30)
        assert not errors
        before = client.command("DEBUG", "DIGEST")
        assert client.command("DEBUG", "RELOAD", "NOSAVE") == b"+OK\r\n"
        assert client.command("DEBUG", "DIGEST") == before
        for number, turns in written.items():
            assert client.command("SCARD", f"set:{number}") == b":%d\r\n" % (turns + 1)
            assert client.command("EXISTS", f"reload:{number}:{turns - 1}") == b":1\r\n"
        assert client.command("DBSIZE") == b":%d\r\n" % (sum(written.values()) + len(written))
        client.command("FLUSHALL")


def test_a_reload_counts_as_a_save_and_forgets_what_was_read(tmp_path: Path) -> None:
    with (
        embedded(config_for(tmp_path, enable_debug_command="yes")) as server,
        RawClient((HOST, server.port)) as client,
    ):
        keyspace, saving = server.services.keyspace, server.services.saving
        client.command("SET", "k", "v")
        assert saving.unsaved_changes == 1
        assert client.command("DEBUG", "LOADAOF") == b"+OK\r\n"
        assert saving.unsaved_changes == 1
        assert client.command("DEBUG", "RELOAD") == b"+OK\r\n"
        assert saving.unsaved_changes == 0
        assert not keyspace.cache.young
        assert client.command("GET", "k") == b"$1\r\nv\r\n"
        before = server.services.replication_id
        assert client.command("DEBUG", "CHANGE-REPL-ID") == b"+OK\r\n"
        assert server.services.replication_id != before


def test_config_rewrite_can_write_everything(tmp_path: Path) -> None:
    config_file = tmp_path / "tendis.conf"
    config_file.write_text("timeout 5\n")
    (tmp_path / "data").mkdir()
    config = config_for(tmp_path / "data", enable_debug_command="yes")
    config.config_file = str(config_file)
    with embedded(config) as server, RawClient((HOST, server.port)) as client:
        assert client.command("DEBUG", "CONFIG-REWRITE-FORCE-ALL") == b"+OK\r\n"
    written = config_file.read_text()
    assert "hz 10" in written
    assert "slowlog-max-len 128" in written


def test_a_key_is_shown_as_in_redis(
    tendis_default: ServerProcess, redis_server: ServerProcess
) -> None:
    """But for where it is, and when it was used."""
    shown = []
    for server in (tendis_default, redis_server):
        with server.client() as client:
            client.command("FLUSHALL")
            client.command("RPUSH", "l", "a", "b", 1)
            client.command("SADD", "s", 1, 2, 300)
            client.command("ZADD", "z", 1, "a", 2.5, "b")
            client.command("SET", "i", 12)
            client.command("SET", "t", "text")
            client.command("XADD", "x", "1-1", "a", "b")
            replies = [client.command("DEBUG", "OBJECT", key) for key in "lszitx"]
            client.command("FLUSHALL")
        for reply in replies:
            assert re.match(rb"\+Value at:0x[0-9a-f]+ ", reply)
        shown.append([re.sub(rb"0x\w+|lru\w*:\d+", b"", reply) for reply in replies])
    assert shown[0] == shown[1]


def test_restore_takes_a_frequency_and_a_wrong_checksum(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        client.command("SET", "k", "v")
        dumped = client.value("DUMP", "k")
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        for frequency in (100, 255, 6, 5):
            client.command("RESTORE", "k", 0, dumped, "REPLACE", "FREQ", frequency)
            assert client.value("OBJECT", "FREQ", "k") == frequency
        client.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        broken = dumped[:-1] + bytes([dumped[-1] ^ 1])
        assert client.command("RESTORE", "k", 0, broken, "REPLACE").startswith(b"-ERR DUMP payload")
        client.command("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
        assert client.command("RESTORE", "k", 0, broken, "REPLACE") == b"+OK\r\n"
        client.command("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 0)
        assert client.command("RESTORE", "k", 0, broken, "REPLACE").startswith(b"-ERR DUMP payload")
        client.command("FLUSHALL")
