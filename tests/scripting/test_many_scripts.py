"""Scripts by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tendis_py.commands.scripting import calls, fcall
from tendis_py.config import Config
from tendis_py.services import Services
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread
from tests.support.resp import Error
from tests.support.servers import ServerProcess

LIBRARY = b"#!lua name=l\nredis.register_function('f', function() return 1 end)"


def test_the_time_of_the_last_script_does_not_count_for_the_next(
    tendis_default: ServerProcess,
) -> None:
    """Compiling takes instructions, too, after which the clock is looked at now and then."""
    with tendis_default.client() as client:
        assert client.value("EVAL", "return 1", 0) == 1
        for start in range(0, 5000, 500):
            replies = client.pipeline(
                [
                    [b"SCRIPT", b"LOAD", b"return %d" % number]
                    for number in range(start, start + 500)
                ]
            )
            assert {reply[:4] for reply in replies} == {b"$40\r"}
        assert not isinstance(client.value("SCRIPT", "FLUSH"), Error)


def test_nor_for_what_is_tidied_up_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes instructions as well."""
    engine = Engine(tmp_path / "data")
    thread = Thread(Services(Config(), Keyspace(engine)))
    thread.dispatcher.defers = True
    monkeypatch.setattr(calls, "FAST_NS", -1)
    assert thread.run_requests([[b"EVAL", b"return 1", b"0"]]) == b":1\r\n"
    assert calls.caller_of(thread.dispatcher.context).check() is None
    thread.dispatcher.defers = False
    assert thread.run_requests([[b"FUNCTION", b"LOAD", LIBRARY]]) == b"$1\r\nl\r\n"
    thread.dispatcher.defers = True
    assert fcall.functions_of(thread.dispatcher.context).check() is None
    engine.close()
