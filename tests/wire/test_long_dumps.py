"""DUMP and RESTORE of what is long: in every threading model only their keys wait for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.rdb import payload
from tendis_py.server import Server
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS

ITEMS = 3000
BOUND = 30


class Barrier:
    """Holds up whoever comes by in another thread than it should."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.may_go_on = threading.Event()

    def pass_by(self) -> None:
        self.reached.set()
        assert self.may_go_on.wait(BOUND)


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param, io_threads="2")) as server:
        yield server


@pytest.mark.parametrize("in_transaction", [False, True])
def test_others_go_on_while_a_long_value_is_restored_and_dumped(
    server: Server, monkeypatch: pytest.MonkeyPatch, in_transaction: bool
) -> None:
    with RawClient((HOST, server.port)) as busy, RawClient((HOST, server.port)) as other:
        assert busy.value("RPUSH", "list", *(f"item {at}" for at in range(ITEMS))) == ITEMS
        sent = busy.value("DUMP", "list")
        for name, request in (
            ("restore", ("RESTORE", "copy", "0", sent)),
            ("dump", ("DUMP", "copy")),
        ):
            barrier = Barrier()
            real: Any = getattr(payload, name)

            def held(*args: Any, barrier: Barrier = barrier, real: Any = real) -> Any:
                barrier.pass_by()
                return real(*args)

            with monkeypatch.context() as patch:
                patch.setattr(payload, name, held)
                if in_transaction:
                    assert busy.command("MULTI") == b"+OK\r\n"
                    assert busy.command(*request) == b"+QUEUED\r\n"
                    busy.request("EXEC")
                else:
                    busy.request(*request)
                try:
                    assert barrier.reached.wait(BOUND)
                    assert other.value("INCR", "count") > 0
                    assert other.value("KEYS", "cop") == []
                finally:
                    barrier.may_go_on.set()
                reply = busy.reply()
            expected = b"+OK\r\n" if name == "restore" else b"$%d\r\n" % len(sent) + sent + b"\r\n"
            assert reply == (b"*1\r\n" if in_transaction else b"") + expected
        assert other.value("LLEN", "copy") == ITEMS
