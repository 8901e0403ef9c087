"""The copy without measuring is one that serves, and does not measure."""

import socket

import pytest

from bench import servers, unmeasured, wire
from bench.servers import DEFAULT_MODEL, ROOT
from bench.unmeasured import DROPPED, UnmeasuredError, without
from bench.wire import HOST, TIMEOUT, command

SOURCE = """
class Loop:
    def turn(self):
        began = perf_counter_ns()
        try:
            work()
        finally:
            self.spent += perf_counter_ns() - began
        return perf_counter_ns()
"""


def test_statements_are_dropped_and_the_clock_is_not_asked() -> None:
    stripped = without(SOURCE, {"Loop.turn": ("began = ", "self.spent")})
    assert "".join(stripped.split()) == "classLoop:defturn(self):try:work()finally:passreturn0"


@pytest.mark.parametrize("functions", [{"turn": ()}, {"Loop.turn": ("ended = ",)}])
def test_what_is_not_there_is_an_error(functions: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UnmeasuredError):
        without(SOURCE, functions)


def test_the_package_is_as_it_says() -> None:
    for module, functions in DROPPED.items():
        compile(without((ROOT / "tendis_py" / module).read_text(), functions), module, "exec")


def test_the_copy_serves_and_does_not_measure() -> None:
    with (
        unmeasured.tree() as tree,
        servers.running(DEFAULT_MODEL, tree=tree) as server,
        socket.create_connection((HOST, server.port), timeout=TIMEOUT) as connection,
    ):
        connection.sendall(200 * wire.set_command(1) + command(b"INFO", b"stages"))
        shown = b""
        while b"inline_share" not in shown:
            shown += connection.recv(1 << 16)
        assert b"stage_execute:calls=0," in shown
