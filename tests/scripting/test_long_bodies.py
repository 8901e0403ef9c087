"""Scripts that take long to compile: nobody else waits for that, in whatever threading model."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tendis_py.scripting.runtime import Runtime
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS

LONG = "return 1 --" + "x" * (1 << 17)
BOUND = 30


@pytest.mark.parametrize("model", MODELS)
def test_a_long_script_is_compiled_apart(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling, may_go_on = threading.Event(), threading.Event()
    real: Any = Runtime.load

    def held(runtime: Runtime, body: bytes, name: bytes) -> Any:
        compiling.set()
        assert may_go_on.wait(BOUND)
        return real(runtime, body, name)

    monkeypatch.setattr(Runtime, "load", held)
    with (
        embedded(config_for(tmp_path, threading_model=model, io_threads="2")) as server,
        RawClient((HOST, server.port)) as scripting,
        RawClient((HOST, server.port)) as other,
    ):
        for request in (("SCRIPT", "LOAD", LONG), ("EVAL", LONG + " ", "0")):
            compiling.clear()
            may_go_on.clear()
            scripting.request(*request)
            try:
                assert compiling.wait(BOUND)
                assert other.value("INCR", "count") > 0
                assert other.value("KEYS", "other") == []
            finally:
                may_go_on.set()
            reply = scripting.reply()
        assert reply == b":1\r\n"
        sha = scripting.value("SCRIPT", "LOAD", LONG)
        assert scripting.value("EVALSHA", sha, "0") == 1
        assert scripting.command("MULTI") == b"+OK\r\n"
        assert scripting.command("SCRIPT", "LOAD", LONG + "y") == b"+QUEUED\r\n"
        assert len(scripting.value("EXEC")[0]) == 40
        assert b"Error compiling" in scripting.command("SCRIPT", "LOAD", LONG + "\nif")
