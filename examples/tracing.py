"""Traces: a collector in thirty lines, and a request drawn as the stages it went through.

Needs ``pip install redis``, the client, and tendis-py with its extra ``otel``. With Jaeger or an
OpenTelemetry collector in its place: examples/tracing/README.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support import running_server

WIDTH = 48


@contextmanager
def running_collector() -> Iterator[tuple[str, list[Span]]]:
    """Its URL, and the spans that it has been sent."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()


def draw(root: Span, stages: list[Span]) -> None:
    """A line for each stage, as long as it took."""
    whole = root.end_time_unix_nano - root.start_time_unix_nano
    print(f"{root.name}: {whole / 1000:.0f} µs")
    for stage in sorted(stages, key=lambda one: one.start_time_unix_nano):
        took = stage.end_time_unix_nano - stage.start_time_unix_nano
        before = (stage.start_time_unix_nano - root.start_time_unix_nano) * WIDTH // whole
        bar = "█" * max(1, took * WIDTH // whole)
        print(f"  {stage.name:<8} {took / 1000:>8.1f} µs  {' ' * before}{bar}")


def main() -> None:
    with running_collector() as (url, spans):
        options = ("--otel-endpoint", url, "--otel-sample-ratio", "1", "--appendfsync", "always")
        with running_server(*options) as port, redis.Redis(port=port) as client:
            client.set("greeting", "hello")
            client.get("greeting")
            client.zadd("points", {f"player:{number}": number for number in range(1000)})
        # what is queued is sent by the end of the server
    for root in spans:
        if root.name in ("SET", "GET", "ZADD"):
            draw(root, [one for one in spans if one.parent_span_id == root.span_id])


if __name__ == "__main__":
    main()
