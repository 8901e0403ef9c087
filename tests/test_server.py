"""Embedding: what ``async with serve()`` raises, and that it always leaves folder and port free."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import trio
import trio.testing

from tendis_py.config import Config
from tendis_py.errors import StorageError
from tendis_py.server import serve
from tendis_py.stages.listening import ListenError
from tests.support.embedded import config_for
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, ROOT

SECONDS = 30.0


@pytest.fixture(params=MODELS)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    """One configuration per threading model; afterwards a server can be had with it again."""
    settings = config_for(tmp_path, threading_model=request.param)
    yield settings

    async def again() -> int:
        async with serve(settings, port=0) as server:
            return server.port

    assert trio.run(again) > 0


async def raising(config: Config, error: BaseException) -> NoReturn:
    async with serve(config, port=0):
        await trio.sleep(0)
        raise error
    raise AssertionError("it came out without the error")


@pytest.mark.parametrize(
    "error",
    [
        LookupError("mine"),
        ExceptionGroup("mine", [ExceptionGroup("inner", [LookupError()]), ValueError()]),
        KeyboardInterrupt(),
        SystemExit(3),
        StopAsyncIteration(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_block_raises_arrives_as_it_is(config: Config, error: BaseException) -> None:
    async def main() -> None:
        with pytest.raises(type(error)) as caught:
            await raising(config, error)
        assert caught.value is error

    trio.run(main)


def test_a_port_that_is_taken(config: Config) -> None:
    async def main(port: int) -> None:
        with pytest.raises(ListenError, match=f"{HOST}:{port}: Address already in use") as caught:
            async with serve(config, port=port):
                raise AssertionError("it listens")
        assert caught.type is ListenError

    with socket.create_server((HOST, 0)) as taken:
        trio.run(main, taken.getsockname()[1])


def test_a_folder_that_is_taken(config: Config) -> None:
    async def main() -> None:
        async with serve(config, port=0):
            with pytest.raises(StorageError, match="in use by another process"):
                async with serve(config, port=0):
                    raise AssertionError("it has the folder")

    trio.run(main)


def test_the_port_zero_is_any_port(tmp_path: Path) -> None:
    """As an argument; the setting 0 means no TCP, which without a Unix socket is nowhere."""
    config = config_for(tmp_path, port="0")

    async def main() -> None:
        async with serve(config, port=0) as server:
            assert server.port > 0
        with pytest.raises(ListenError, match="not listen anywhere"):
            async with serve(config):
                raise AssertionError("it listens")

    trio.run(main)


def test_the_default_addresses_share_the_port_that_is_chosen(tmp_path: Path) -> None:
    config = Config()
    config.assign(["dir", str(tmp_path)])

    async def main() -> None:
        async with serve(config, port=0) as server:
            ports = {address.rpartition(":")[2] for address in server.listening}
            assert ports == {str(server.port)}

    trio.run(main)


def test_cancelled_from_outside(config: Config) -> None:
    async def main() -> None:
        reached = False
        with trio.CancelScope() as scope:
            async with serve(config, port=0):
                reached = True
                scope.cancel()
                await trio.sleep_forever()
        assert reached
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            scope.cancel()
            async with serve(config, port=0):
                await trio.sleep_forever()
        assert scope.cancelled_caught

    trio.run(main)


def test_an_error_while_it_is_cancelled(config: Config) -> None:
    """Of cleaning up, say: it takes the place of the cancellation, as in any block."""
    error = LookupError("mine")

    async def clean_up_badly(scope: trio.CancelScope) -> None:
        async with serve(config, port=0):
            try:
                scope.cancel()
                await trio.sleep_forever()
            finally:
                raise error

    async def main() -> None:
        with trio.CancelScope() as scope, pytest.raises(LookupError) as caught:
            await clean_up_badly(scope)
        assert caught.value is error

    trio.run(main)


def test_cancelled_with_tasks_of_its_own(config: Config) -> None:
    """A nursery in the block raises a group with Cancelled in it, which the outer scope absorbs."""

    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError("late")

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with serve(config, port=0), trio.open_nursery() as nursery:
                nursery.start_soon(fail_late)
                nursery.start_soon(trio.sleep_forever)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

    with pytest.raises(ExceptionGroup) as caught:
        trio.run(main)
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


def test_what_ends_the_server_arrives_as_it_is(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = LookupError("the server's")

    async def broken(self: object) -> None:
        raise error

    async def main() -> None:
        async with serve(config, port=0):
            await trio.sleep_forever()

    with monkeypatch.context() as patch:
        patch.setattr("tendis_py.maintenance.Maintenance.run", broken)
        with pytest.raises(LookupError) as caught:
            trio.run(main)
    assert caught.value is error


def test_an_error_of_the_block_is_not_lost_in_one_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Which comes while the server ends, as on a disk that is full."""
    error = LookupError("mine")

    def broken(self: object) -> None:
        raise StorageError("the server's")

    monkeypatch.setattr("tendis_py.services.saving.Saving.finish", broken)
    with pytest.raises(LookupError) as caught:
        trio.run(raising, config_for(tmp_path), error)
    assert caught.value is error
    assert "the server has failed, too" in caplog.text


def test_the_block_goes_on_after_shutdown(config: Config) -> None:
    async def main() -> None:
        async with serve(config, port=0) as server:
            port = server.port

            def shut_down() -> bytes:
                with RawClient((HOST, port)) as client:
                    client.send(b"SHUTDOWN\r\n")
                    return client.until_closed()

            assert await trio.to_thread.run_sync(shut_down) == b""
            with trio.fail_after(SECONDS):
                await server.stopping.wait()

    trio.run(main)


def test_an_interrupt_from_the_keyboard(tmp_path: Path) -> None:
    """Wherever it strikes, in the block or in the server's own tasks."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import signal, trio
            from tendis_py.server import serve
            from tests.support.embedded import config_for
            from pathlib import Path

            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

            async def main():
                async with serve(config_for(Path({str(tmp_path)!r})), port=0):
                    print("ready", flush=True)
                    await trio.sleep_forever()

            try:
                trio.run(main)
            except KeyboardInterrupt as caught:
                print(type(caught).__name__, flush=True)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    assert (output, errors) == ("KeyboardInterrupt\n", "")
