"""Traces: spans of a running server's requests, and their way to a collector over HTTP."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tendis_py import traces
from tendis_py.errors import StorageError
from tendis_py.server import Server
from tendis_py.traces import Traces, traces_url
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, free_port, wait_until


class Watched:
    """A server each request of which is traced into this process' memory."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.exporter = InMemorySpanExporter()
        self.traces = Traces(self.exporter, {"service.instance.id": "x"})
        server.services.tracing.begin(self.traces, 1.0)

    def client(self) -> RawClient:
        return RawClient((HOST, self.server.port))

    def spans(self, command: str) -> tuple[ReadableSpan, list[ReadableSpan]]:
        """The span of the one request of ``command``, and its stages."""
        found: list[ReadableSpan] = []

        def is_there() -> bool:
            self.traces.flush()
            found[:] = [one for one in self.exporter.get_finished_spans() if one.name == command]
            return bool(found)

        wait_until(is_there, f"a trace of {command}")
        [root] = found
        stages = [
            one
            for one in self.exporter.get_finished_spans()
            if one.parent is not None and one.parent.span_id == root.context.span_id
        ]
        return root, sorted(stages, key=lambda one: (one.start_time, one.end_time))


@pytest.fixture(params=MODELS)
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    with embedded(config_for(tmp_path, threading_model=request.param)) as server:
        watched = Watched(server)
        yield watched
        server.services.tracing.end()
        watched.traces.stop()


def test_a_request_is_a_span_with_its_stages(watched: Watched) -> None:
    with watched.client() as client:
        client.command("SELECT", "3")
        client.command("SET", "secret-key", "secret-value")
        port = client.socket.getsockname()[1]
    root, stages = watched.spans("SET")
    assert root.kind is SpanKind.SERVER
    assert root.parent is None
    assert root.status.status_code is StatusCode.UNSET
    assert root.attributes is not None
    assert root.resource.attributes["service.name"] == "tendis-py"
    assert root.resource.attributes["service.instance.id"] == "x"
    expected = {
        "db.system.name": "redis",
        "db.operation.name": "SET",
        "db.namespace": "3",
        "network.transport": "tcp",
        "network.peer.address": HOST,
        "network.peer.port": port,
        "tendis_py.lane": "fast",
        "tendis_py.batch.requests": 1,
    }
    assert expected.items() <= root.attributes.items()
    names = [one.name for one in stages]
    assert names[0] == "parse"
    assert [name for name in names if name not in ("queue", "lock")] == [
        *("parse", "execute", "commit", "respond", "write")
    ]
    for one, following in pairwise(stages):
        assert one.end_time == following.start_time
    assert (root.start_time, root.end_time) == (stages[0].start_time, stages[-1].end_time)
    assert {one.context.trace_id for one in stages} == {root.context.trace_id}
    assert "secret" not in "".join(one.to_json() for one in (root, *stages))


def test_errors_and_pipelines(watched: Watched) -> None:
    with watched.client() as client:
        client.pipeline([[b"SET", b"k", b"v"], [b"LPOP", b"k"]])
    root, _ = watched.spans("LPOP")
    assert root.attributes is not None
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes["db.response.status_code"] == "WRONGTYPE"
    assert root.attributes["error.type"] == "WRONGTYPE"
    assert root.attributes["db.operation.batch.size"] == 2


def test_who_waits_for_others_is_left_out(watched: Watched) -> None:
    with watched.client() as waits, watched.client() as pushes:
        waits.request("BLPOP", "l", "0")
        wait_until(lambda: "blocked_clients:1" in info(pushes), "it waits")
        pushes.command("RPUSH", "l", "x")
        waits.reply()
    watched.spans("RPUSH")
    assert "BLPOP" not in {one.name for one in watched.exporter.get_finished_spans()}


def info(client: RawClient) -> str:
    return client.command("INFO", "clients").decode()


def test_a_slow_command_behind_others(watched: Watched) -> None:
    with watched.client() as client:
        client.pipeline([[b"SET", b"k", b"v"], [b"KEYS", b"*"], [b"GET", b"k"]])
    for command in ("SET", "KEYS", "GET"):
        root, stages = watched.spans(command)
        assert root.start_time == stages[0].start_time
        assert all(one.end_time >= one.start_time for one in stages)


# Over HTTP


class Collector(ThreadingHTTPServer):
    """What a collector is sent; it answers ``status``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.status = 200
        self.paths: list[str] = []
        self.spans: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        if self.server.status == 200:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.server.spans += [span.name for span in scope.spans]
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("NO_PROXY", HOST)
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def traced_to(endpoint: str, folder: Path, **settings: str) -> Iterator[RawClient]:
    config = config_for(folder, otel_endpoint=endpoint, **settings)
    with embedded(config) as server, RawClient((HOST, server.port)) as client:
        yield client


def test_a_collector_gets_them_all_by_the_end(collector: Collector, tmp_path: Path) -> None:
    endpoint = f"http://{HOST}:{collector.server_port}"
    with traced_to(endpoint, tmp_path, otel_sample_ratio="1") as client:
        for _ in range(300):
            client.command("GET", "k")
    assert collector.spans.count("GET") == 300
    assert collector.spans.count("execute") >= 300
    assert set(collector.paths) == {"/v1/traces"}


def test_the_ratio_is_a_setting(collector: Collector, tmp_path: Path) -> None:
    endpoint = f"http://{HOST}:{collector.server_port}/elsewhere"
    with traced_to(endpoint, tmp_path, otel_sample_ratio="0") as client:
        client.command("GET", "k")
        assert client.value("CONFIG", "GET", "otel-sample-ratio") == [b"otel-sample-ratio", b"0"]
        assert client.command("CONFIG", "SET", "otel-sample-ratio", "1") == b"+OK\r\n"
        client.command("GET", "k")
        client.command("CONFIG", "SET", "otel-sample-ratio", "0")
        client.command("GET", "k")
    assert collector.spans.count("GET") == 1
    assert collector.paths[0] == "/elsewhere"


def test_a_collector_that_refuses_or_is_away_disturbs_nobody(
    collector: Collector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(traces, "STOP_SECONDS", 0.2)
    collector.status = 400
    for place in (f"{HOST}:{collector.server_port}", f"{HOST}:{free_port()}"):
        caplog.clear()
        with traced_to(f"http://{place}", tmp_path, otel_sample_ratio="1") as client:
            for _ in range(2):
                client.command("GET", "k")
    assert collector.paths


def test_that_it_fails_is_said_once(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="tendis_py")
    exporter = traces.Collector(f"http://{HOST}:{collector.server_port}")
    for collector.status in (400, 400, 200, 200, 400):
        exporter.export([])
    exporter.shutdown()
    said = [
        record.message.rpartition(" ")[2] for record in caplog.records if "Traces" in record.message
    ]
    assert said == ["dropped", "again", "dropped"]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://h:4318", "http://h:4318/v1/traces"),
        ("http://h:4318/", "http://h:4318/v1/traces"),
        ("https://h/otlp/v1/traces", "https://h/otlp/v1/traces"),
    ],
)
def test_where_traces_go(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url


def test_without_the_extra_the_start_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tendis_py.traces", None)
    config = config_for(tmp_path, otel_endpoint="http://h")
    with pytest.raises(StorageError, match=r"pip install 'tendis-py\[otel\]'"):
        Server(config, port=0)
