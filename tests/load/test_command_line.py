"""``tendis-py load`` as a user runs it, against both servers."""

from __future__ import annotations

import contextlib
import json
import re
import select
import signal
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from tendis_py.load.command_line import main
from tendis_py.load.generator import ClosedLoop, Limits
from tendis_py.load.progress import line_of
from tendis_py.load.source import Mix
from tendis_py.load.templates import Template
from tests.support.servers import ROOT, ServerProcess, redis_process, running, wait_until

SECONDS = 60.0


@pytest.fixture(params=["redis_server", "tendis_default"])
def server(request: pytest.FixtureRequest) -> ServerProcess:
    found: ServerProcess = request.getfixturevalue(request.param)
    with found.client() as client:
        client.command("FLUSHALL")
    return found


def address(server: ServerProcess) -> str:
    return f"127.0.0.1:{server.port}"


def load(
    server: ServerProcess, capsys: pytest.CaptureFixture[str], *options: str, code: int = 0
) -> dict[str, Any]:
    assert main([address(server), "--quiet", "--json", "-", *options]) == code
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


def test_requests_are_counted_as_the_server_counts_them(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.client() as client:
        client.command("CONFIG", "RESETSTAT")
        found = load(
            server,
            capsys,
            *("-n", "3000", "-c", "5", "-P", "7", "-m", "get=2 set=1", "-C", "HSET h{key} f {int}"),
        )
        stats = client.value("INFO", "commandstats").decode()
    assert found["requests"] == 3_000
    assert found["errors"] == {}
    assert found["latency_us"]["all"]["count"] == 3_000
    for name in ("GET", "SET", "HSET"):
        assert f"cmdstat_{name.lower()}:calls={found['latency_us'][name]['count']}," in stats
    assert found["requests_per_second"] > 0
    assert HdrHistogram.decode(found["histogram"]).get_total_count() == 3_000


def test_all_keys_are_there_once_they_are_filled(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    found = load(
        *(server, capsys, "-n", "500", "-m", "get", "--keys", "1000", "--fill", "-d", "10-20"),
        *("--db", "3", "--resp3"),
    )
    with server.client() as client:
        client.command("SELECT", 3)
        assert client.value("DBSIZE") == 1_000
        assert 10 <= client.value("STRLEN", "key:000000000999") <= 20
    assert found["bytes_in"] >= 500 * 10


def test_an_open_loop_keeps_its_rate(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    found = load(server, capsys, "-n", "200", "--rate", "1000", "--arrivals", "constant", "-c", "8")
    assert found["requests"] == 200
    assert found["seconds"] >= 0.199
    assert found["service_us"]["all"]["count"] == 200
    assert found["service_us"]["all"]["p50"] <= found["latency_us"]["all"]["p50"]


def test_errors_are_counted_by_code(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.client() as client:
        client.command("SET", "text", "x")
    options = ("-n", "40", "-c", "1", "-C", "LPUSH text a", "-C", "nonsense")
    found = load(server, capsys, *options)
    assert set(found["errors"]) == {"WRONGTYPE", "ERR"}
    assert sum(error["count"] for error in found["errors"].values()) == 40
    assert found["errors"]["ERR"]["example"].startswith("ERR unknown command 'nonsense'")
    assert main([address(server), "--quiet", *options]) == 0
    assert "40 errors (100.0% of the replies):" in capsys.readouterr().out


def test_what_monitor_has_shown_is_replayed(
    server: ServerProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with server.client() as watcher, server.client() as client:
        watcher.command("MONITOR")
        for words in (("MULTI",), ("INCR", "n"), ("EXEC",), ("SET", "a", "\x00 '"), ("SELECT", 5)):
            client.command(*words)
        shown = [watcher.reply()[1:] for _ in range(5)]
        client.command("FLUSHALL")
        client.command("SELECT", 0)
        client.command("FLUSHALL")
    recorded = tmp_path / "monitor.txt"
    recorded.write_bytes(b"".join(shown))
    found = load(server, capsys, "-n", "40", "-c", "3", "--replay", str(recorded))
    assert {name: row["count"] for name, row in found["latency_us"].items()} == {
        **dict.fromkeys(("MULTI", "INCR", "EXEC", "SET"), 10),
        "all": 40,
    }
    with server.client() as client:
        assert client.value("GET", "n") == b"10"
        assert client.value("GET", "a") == b"\x00 '"


def test_results_are_written_as_table_json_and_histogram(
    tendis_default: ServerProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = {"--json": "a.json", "--histogram": "a.hgrm"}
    options = [word for name, file in names.items() for word in (name, str(tmp_path / file))]
    assert main([address(tendis_default), "-q", "-n", "500", "-m", "ping", *options]) == 0
    shown = capsys.readouterr().out
    assert "500 requests in " in shown
    assert "No errors." in shown
    assert json.loads((tmp_path / "a.json").read_text())["requests"] == 500
    assert "#[Max     =" in (tmp_path / "a.hgrm").read_text()


def test_a_password_is_asked_for_and_taken_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(redis_process(tmp_path, "--requirepass", "secret")) as server:
        assert main([address(server), "-n", "1"]) == 1
        assert "NOAUTH" in capsys.readouterr().err
        assert main([address(server), "-n", "1", "-a", "wrong"]) == 1
        assert "AUTH: WRONGPASS" in capsys.readouterr().err
        monkeypatch.setenv("REDISCLI_AUTH", "secret")
        for more in ((), ("-3",), ("--user", "default")):
            assert main([address(server), "-n", "1", *more]) == 0
    assert main([address(server), "-n", "1"]) == 1
    assert capsys.readouterr().err == (
        f"tendis-py load: cannot connect to {address(server)}: Connection refused\n"
    )


def test_a_unix_socket_is_connected_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "s")
    with running(redis_process(tmp_path, "--unixsocket", path)):
        assert main([path, "-q", "-n", "10"]) == 0
    assert main([path, "-q", "-n", "10"]) == 1
    assert f"cannot connect to {path}: " in capsys.readouterr().err


@pytest.mark.parametrize("is_open", [False, True])
def test_a_server_that_goes_away_is_reported(tmp_path: Path, is_open: bool) -> None:
    with running(redis_process(tmp_path)) as server:
        command = [sys.executable, "-m", "tendis_py", "load", address(server), "-q", "-s", "1000"]
        command += ["--rate", "2000"] if is_open else []
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            _wait_for_load(server)
            server.kill()
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 1
    assert err == ""
    assert "50 of 50 connections ended: " in out
    assert "latency, ms" in out


def test_ctrl_c_ends_a_run_with_its_figures(redis_server: ServerProcess) -> None:
    command = [sys.executable, "-m", "tendis_py", "load", address(redis_server), "-s", "1000"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for_load(redis_server)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 1
    assert err == ""
    assert "it was interrupted" in out


def _wait_for_load(server: ServerProcess) -> None:
    with server.client() as client:
        client.command("CONFIG", "RESETSTAT")
        wait_until(lambda: b"cmdstat_set:" in client.value("INFO", "commandstats"), "load", SECONDS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-m nonsense", "--mix knows no 'nonsense': there are ping, get"),
        ("-m get=x", "a weight is a number from 0 on, not 'x'"),
        ("-m get=0", "a mix needs a command whose weight is above 0"),
        ("--rate 0", "argument --rate: a number, above 0, not '0'"),
        ("--rate inf", "argument --rate: a finite number, not 'inf'"),
        ("-n 1.5", "a whole number, at least 1, not '1.5'"),
        ("-c 70000", "a whole number, at least 1, at most 60000, not '70000'"),
        ("-n 1 -s 1", "either --seconds or --requests"),
        ("--arrivals constant", "--arrivals needs --rate"),
        ("--replay FILE -m get", "either --replay or --mix and --command"),
        ("--replay /nowhere/x", "/nowhere/x: No such file or directory"),
        ("--json /nowhere/x", "/nowhere/x: no such folder"),
        ("--picture a.doc", "a picture is a file that ends with .svg, .png, .pdf, not 'a.doc'"),
        ("--user me", "--user needs a password"),
        ("-K hot:1:200 -k 100", "of 100 keys, from 1 to 99 can be hot"),
        ("-C MONITOR", "MONITOR can't be part of a load"),
        ("host:port", "a port is from 1 to 65535, not 'port'"),
        ("[::1", "an address is HOST:PORT, not '[::1'"),
        ("--connection 5", "unrecognized arguments"),
    ],
)
def test_a_command_line_that_cannot_be_is_explained(
    options: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDISCLI_AUTH", raising=False)
    assert main(options.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tendis-py load: ")
    assert message in err
    assert err.count("\n") == 1


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    manual = (ROOT / "docs" / "load.md").read_text(encoding="utf-8")
    options = re.findall(r"--[a-z][a-z0-9-]*", shown)
    assert len(set(options)) > 20
    for option in options:
        assert f"`{option}" in manual or option == "--help", option


def test_a_picture_without_matplotlib_is_refused_before_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--picture", "a.svg"]) == 2
    assert "--picture needs matplotlib: pip install matplotlib" in capsys.readouterr().err


def test_a_picture_is_drawn(
    tendis_default: ServerProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.svg"
    options = ("-q", "-n", "500", "-c", "2", "--interval", "0.05", "-m", "ping get")
    assert main([address(tendis_default), *options, "--picture", str(picture)]) == 0
    root = xml.etree.ElementTree.fromstring(picture.read_text())
    assert root.tag.endswith("svg")


def test_the_progress_bar_tells_of_the_last_interval() -> None:
    epoll = select.epoll()
    with contextlib.closing(epoll):
        limits = Limits(None, 100, 0.0, 1.0)
        source = Mix([(Template("PING", b"", []), 1.0)], Random(1))
        generator = ClosedLoop(epoll, [], source, 1, limits)
        assert line_of(generator, "load") == "load: warming up"
        generator.measuring = True
        generator.tally.answered = 5_000
        generator.tally.record(1_500, [0] * 100)
        generator.tally.error("ERR no")
        generator.tally.end_stretch(0.5, 0.0)
        assert line_of(generator, "load") == (
            f"load [{'.' * 30}]   0%  5,000 requests, 200/s, p99 1.50 ms, 1 errors"
        )
