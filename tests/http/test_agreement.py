"""A server that is asked for more than it can do says the same of it everywhere: in INFO stages, at
/metrics, on the dashboard and in `tendis-py top`."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.resp import RawClient
from tests.support.servers import HOST, ROOT, ServerProcess, free_port, running, tendis_process

PROGRAM = [sys.executable, "-m", "tendis_py"]
SECONDS = 60
OVERLOAD = 1.2
TRIES = 20
"""Each looks at the last ten seconds, though not at the same moment."""

Shares = Mapping[str, float]


def load_command(server: ServerProcess, *arguments: str) -> list[str]:
    target = f"{HOST}:{server.port}"
    return [*PROGRAM, "load", target, "-c", "20", "-P", "8", "-q", "--json", "-", *arguments]


def capacity(server: ServerProcess) -> float:
    done = subprocess.run(
        load_command(server, "-s", "1"), cwd=ROOT, capture_output=True, timeout=SECONDS, check=True
    )
    found: float = json.loads(done.stdout)["requests_per_second"]
    return found


def of_info(client: RawClient) -> tuple[str, float]:
    told = client.value("INFO", "stages").decode()
    found = re.search(r"bottleneck:stage=(\w+),share=([\d.]+)", told)
    assert found is not None
    return found[1], float(found[2])


def of_page(port: int) -> tuple[str, float]:
    with answer_to(port, "/events") as answer:
        while answer.readline() != b"event: snapshot\n":
            """Something else comes first."""
        data: dict[str, Any] = json.loads(answer.readline().removeprefix(b"data: "))
    return largest(data["shares"])


def of_metrics(port: int) -> tuple[str, float]:
    with answer_to(port, "/metrics") as answer:
        told = answer.read().decode()
    found = re.findall(r'^tendis_py_stage_share_ratio\{stage="(\w+)"\} (\S+)$', told, re.M)
    return largest({stage: float(share) for stage, share in found})


def of_top(server: ServerProcess) -> tuple[str, float]:
    command = [*PROGRAM, "top", "--once", f"{HOST}:{server.port}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    found = re.findall(r"^  (\w+) +([\d.]+) %  ", done.stdout.partition("\nStages")[2], re.M)
    return largest({stage: float(percent) / 100 for stage, percent in found})


def largest(shares: Shares) -> tuple[str, float]:
    stage = max(shares, key=lambda stage: shares[stage])
    return stage, shares[stage]


@pytest.mark.soak
def test_at_120_percent_of_its_capacity(tmp_path: Path) -> None:
    pytest.importorskip("textual")
    port = free_port()
    with (
        running(tendis_process(tmp_path, "--dashboard-port", str(port))) as server,
        server.client() as client,
    ):
        rate = int(OVERLOAD * capacity(server))
        with subprocess.Popen(
            load_command(server, "-s", str(SECONDS), "--rate", str(rate)),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        ) as loading:
            try:
                for _ in range(TRIES):
                    found = [of_info(client), of_page(port), of_metrics(port), of_top(server)]
                    stages, shares = zip(*found, strict=True)
                    if len(set(stages)) == 1 and max(shares) <= 1.05 * min(shares):
                        break
                else:
                    pytest.fail(f"they do not agree: {found}")
            finally:
                loading.terminate()


@contextlib.contextmanager
def answer_to(port: int, path: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        yield answer
    finally:
        connection.close()
