"""``tendis-py top`` against running servers: on paper, live, and when a server goes."""

from __future__ import annotations

import asyncio
import fcntl
import html
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from rich.console import Console
from textual.pilot import Pilot
from textual.widgets import Static

from tendis_py.top.address import Target
from tendis_py.top.app import TopApp
from tendis_py.top.client import connect
from tendis_py.top.command_line import main
from tendis_py.top.snapshot import ALL, Command, Snapshot, parse_info
from tendis_py.top.view import View
from tendis_py.top.watch import Observer
from tests.support.servers import HOST, ROOT, ServerProcess, redis_process, running

SECONDS = 20.0


def top(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tendis_py", "top", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def look(server: ServerProcess) -> Snapshot:
    async def run() -> Snapshot:
        async with await connect(Target(HOST, server.port)) as client:
            return await Observer(client).look()

    return trio.run(run)


def info(server: ServerProcess, *sections: str) -> dict[str, str]:
    with server.client() as client:
        text = client.command("INFO", *sections).decode()
    return parse_info(text.partition("\r\n")[2])


def command(seen: Snapshot, name: str) -> Command:
    [found] = [one for one in seen.commands if one.name == name]
    return found


def write(server: ServerProcess, count: int) -> None:
    with server.client() as client:
        client.command("CONFIG", "RESETSTAT")
        for _ in range(count):
            client.command("SET", "top", "1")


@pytest.mark.parametrize("kind", ["tendis_default", "redis_server"])
def test_its_numbers_are_those_of_info(kind: str, request: pytest.FixtureRequest) -> None:
    server: ServerProcess = request.getfixturevalue(kind)
    write(server, 50)
    seen, there = look(server), info(server, "commandstats", "latencystats", "server")
    assert seen.info["run_id"] == there["run_id"]
    written = command(seen, "set")
    assert f"calls={written.calls},usec={written.usec:.0f}," in there["cmdstat_set"]
    assert written.calls == 50
    percentiles = f"p50={written.service.p50:.3f},p99={written.service.p99:.3f}"
    assert there["latency_percentiles_usec_set"].startswith(percentiles)


def test_looking_leaves_no_errors_in_a_servers_statistics(
    redis_server: ServerProcess, tendis_default: ServerProcess
) -> None:
    for server in (redis_server, tendis_default):
        write(server, 1)
        look(server)
        assert info(server, "stats")["total_error_replies"] == "0"


def test_stages_agree_with_info(tendis_default: ServerProcess) -> None:
    write(tendis_default, 50)
    seen = look(tendis_default)
    assert {"work", "slow"} <= {queue.name for queue in seen.queues}
    assert "reactor-0" in {thread.name for thread in seen.threads}
    assert seen.findings, "it says so when it finds nothing"
    for name in ("parse", "execute", "commit", "respond", "write"):
        rows = [stage.windows[ALL] for stage in seen.stages if stage.name == name]
        there = seen.pairs(f"stage_{name}")
        assert sum(row.count for row in rows) == pytest.approx(there["calls"], abs=10)
        assert sum(row.sum for row in rows) == pytest.approx(there["usec"], rel=0.05, abs=2000)
        assert max(row.max for row in rows) == pytest.approx(there["max"], rel=0.05, abs=2000)
        [whole] = [one.windows[ALL] for one in seen.whole_stages if one.name == name]
        assert (whole.count, whole.p99) == (there["calls"], there["p99"])


@pytest.mark.parametrize("kind", ["tendis_default", "redis_server"])
def test_once_prints_a_snapshot(kind: str, request: pytest.FixtureRequest) -> None:
    server: ServerProcess = request.getfixturevalue(kind)
    write(server, 123)
    printed = top(f"{HOST}:{server.port}", "--once", "--interval", "0.1", COLUMNS="100")
    assert (printed.returncode, printed.stderr) == (0, "")
    lines = printed.stdout.splitlines()
    assert f"at {HOST}:{server.port}   up " in lines[0]
    assert max(map(len, lines)) <= 100
    [row] = [line for line in lines if line.strip().startswith("SET ")]
    assert row.split()[2] == "123"
    assert ("RocksDB" in lines) is (kind == "tendis_default")


def test_a_snapshot_for_a_terminal_that_knows_few_characters(redis_server: ServerProcess) -> None:
    address = f"{HOST}:{redis_server.port}"
    printed = top(address, "--interval", "0.1", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert "INFO" in printed.stdout


def test_what_can_not_be_watched(
    redis_server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{HOST}:{redis_server.port}"
    for arguments, code, message in (
        ((f"{HOST}:1",), 1, f"tendis-py top: {HOST}:1: Connection refused\n"),
        ((address, "--db", "99"), 1, "out of range"),
        ((address, "--user", "me"), 2, "a user needs a password"),
        ((address, "--interval", "nan"), 2, "--interval"),
        ((address, "--window", "7"), 2, "--window"),
        (("http://x",), 2, "are the URLs that are understood"),
    ):
        assert main(list(arguments)) == code
        said = capsys.readouterr()
        assert said.out == ""
        assert message in said.err


def test_the_password_of_the_environment(tmp_path: Path) -> None:
    path = str(tmp_path / "t.sock")
    with running(redis_process(tmp_path, "--unixsocket", path, "--requirepass", "secret")):
        assert "NOAUTH" in top(path).stderr
        printed = top(path, "--interval", "0.1", REDISCLI_AUTH="secret")
    assert printed.stdout.split()[:4] == ["redis", "8.2.3", "at", path]


# Live


def live(
    target: Target, script: Callable[[TopApp, Pilot[None]], Awaitable[None]], width: int = 120
) -> TopApp:
    """Run the screen on a terminal of ``width`` while ``script`` goes; what is left of it."""
    app = TopApp(target, 0.1, View(str(target)))

    async def run() -> None:
        async with asyncio.timeout(2 * SECONDS), app.run_test(size=(width, 50)) as pilot:
            await script(app, pilot)

    asyncio.run(run())
    return app


async def until(condition: Callable[[], bool], app: TopApp, pilot: Pilot[None]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, screen(app)
        await pilot.pause(0.02)
    await pilot.pause()


def screen(app: TopApp) -> str:
    """What there is to read on it."""
    return html.unescape(re.sub(r"<[^>]+>", " ", app.export_screenshot())).replace("\xa0", " ")


def drawn(app: TopApp, panel: str) -> str:
    """What a panel has, also of what is scrolled out of sight."""
    console = Console(width=100, file=io.StringIO())
    with console.capture() as capture:
        console.print(app.query_one(f"#{panel}", Static).content)
    return capture.get()


@pytest.mark.parametrize("kind", ["tendis_default", "redis_server"])
@pytest.mark.parametrize("width", [60, 160])
def test_the_screen_shows_what_info_says(
    kind: str, width: int, request: pytest.FixtureRequest
) -> None:
    server: ServerProcess = request.getfixturevalue(kind)
    write(server, 77)

    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await until(lambda: app.view.seen is not None, app, pilot)
        for name in ("engine", "stages", "queues", "threads"):
            assert app.query_one(f"#{name}").display is (kind == "tendis_default")
        left, right = app.query_one("#left").region, app.query_one("#right").region
        assert (left.y == right.y) is (width == 160), "side by side where there is room"
        assert all(widget.region.right <= width for widget in app.query(".panel"))
        assert re.search(r"^SET .* 77 ", drawn(app, "commands"), re.MULTILINE)

    seen = live(Target(HOST, server.port), script, width).view.seen
    assert seen is not None
    assert command(seen, "set").calls == 77


def test_keys(redis_server: ServerProcess) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await until(lambda: app.view.seen is not None, app, pilot)
        for window in (60, ALL, 10):
            await pilot.press("w")
            assert app.view.window == window
        await pilot.press("l")
        assert app.view.lanes
        await pilot.press("s")
        assert "Commands, by calls" in screen(app)
        await pilot.press("p")
        assert "paused" in screen(app)
        still, before = screen(app), app.view.seen
        await until(lambda: app.view.seen is not before, app, pilot)
        assert screen(app) == still
        await pilot.press("q")

    live(Target(HOST, redis_server.port), script)


def test_a_server_that_goes_and_comes_back(tmp_path: Path) -> None:
    server = redis_process(tmp_path)
    server.start()

    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await until(lambda: app.view.seen is not None, app, pilot)
        server.stop()
        await until(lambda: "gone" in screen(app), app, pilot)
        gone = app.view.seen
        server.start()
        await until(lambda: app.view.seen is not gone, app, pilot)
        assert "gone" not in screen(app)

    try:
        live(Target(HOST, server.port), script)
    finally:
        server.kill()


def test_in_a_terminal_it_stays_until_q(redis_server: ServerProcess) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    arguments = ["top", f"{HOST}:{redis_server.port}", "--interval", "0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tendis_py", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        printed = b""
        deadline = time.monotonic() + SECONDS
        while b"Bottleneck" not in printed:
            assert select.select([ours], [], [], max(0, deadline - time.monotonic()))[0], printed
            printed += os.read(ours, 65536)
        os.write(ours, b"q")
        assert _read_to_the_end(ours, deadline).count(b"Traceback") == 0
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_to_the_end(terminal: int, deadline: float) -> bytes:
    printed = b""
    while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            printed += os.read(terminal, 65536)
        except OSError:  # nobody has the other end any more
            return printed
    raise AssertionError(printed)
