"""Sends traces to an OpenTelemetry collector, by OTLP over HTTP: the extra ``otel``.

Spans are made in the reactor's thread and queued; OpenTelemetry's own thread sends them. The queue
is bounded, what it has no room for is dropped, and a collector that is away is said in the log
once: nothing of this can hold up a request, or end the server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tendis_py import __version__
from tendis_py.log import NOTICE
from tendis_py.services.tracing import Trace, TracedRequest

log = logging.getLogger(__name__)

QUEUED_SPANS = 8192
SPANS_AT_ONCE = 1024
SEND_SECONDS = 5.0
"""A collector that takes longer does without these spans."""

STOP_SECONDS = 2.0
"""What the last spans may take at the end of the server."""

_PATH = "/v1/traces"
_SCOPE = InstrumentationScope("tendis_py", __version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)

Attributes = Mapping[str, str | int | float]


class Traces:
    """A ``services.tracing.Sink``: exports what it is called with, in any thread."""

    def __init__(self, exporter: SpanExporter, server: Attributes) -> None:
        """``server``: what distinguishes this one, attributes of its resource. What the environment
        says goes before (``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``)."""
        own = {"service.name": "tendis-py", "service.version": __version__, **server}
        self._resource = Resource.create(own).merge(OTELResourceDetector().detect())
        self._exporter = exporter
        self._processor = BatchSpanProcessor(
            exporter, max_queue_size=QUEUED_SPANS, max_export_batch_size=SPANS_AT_ONCE
        )
        self._ids = RandomIdGenerator()

    def __call__(self, trace: Trace) -> None:
        epoch = time.time_ns() - time.perf_counter_ns()
        request = trace.request
        trace_id = self._ids.generate_trace_id()
        root = self._context(trace_id)
        begins, ends = trace.stages[0][1], trace.stages[-1][2]
        for stage, since, until in trace.stages:
            attributes: Attributes = {}
            if stage == "execute":
                attributes = {"tendis_py.reads.duration": trace.reads_ns / 1e9}
            self._processor.on_end(
                ReadableSpan(
                    name=stage,
                    context=self._context(trace_id),
                    parent=root,
                    resource=self._resource,
                    attributes=attributes,
                    kind=SpanKind.INTERNAL,
                    instrumentation_scope=_SCOPE,
                    start_time=epoch + since,
                    end_time=epoch + until,
                )
            )
        self._processor.on_end(
            ReadableSpan(
                name=request.command or "redis",
                context=root,
                resource=self._resource,
                attributes=_attributes(trace),
                kind=SpanKind.SERVER,
                instrumentation_scope=_SCOPE,
                status=Status(StatusCode.ERROR if request.error else StatusCode.UNSET),
                start_time=epoch + begins,
                end_time=epoch + ends,
            )
        )

    def _context(self, trace_id: int) -> SpanContext:
        span_id = self._ids.generate_span_id()
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)

    def flush(self) -> None:
        """Send what is queued; waits for it."""
        self._processor.force_flush()

    def stop(self) -> None:
        """Send what is queued, for STOP_SECONDS at most."""
        ending = threading.Thread(target=self._processor.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)
        if ending.is_alive():
            self._exporter.shutdown()


def _attributes(trace: Trace) -> Attributes:
    """Of the whole, by OpenTelemetry's conventions for databases; ours begin with ``tendis_py``.
    No arguments: they are the clients' data."""
    request = trace.request
    return {
        "db.system.name": "redis",
        "db.namespace": str(request.database),
        **({"db.operation.name": request.command} if request.command else {}),
        **({"db.operation.batch.size": request.pipelined} if request.pipelined > 1 else {}),
        **_error(request),
        **_peer(request.address),
        "tendis_py.lane": trace.lane,
        "tendis_py.pool": trace.pool,
        "tendis_py.batch.requests": trace.requests,
    }


def _error(request: TracedRequest) -> Attributes:
    if not request.error:
        return {}
    return {"db.response.status_code": request.error, "error.type": request.error}


def _peer(address: str) -> Attributes:
    """Of ``HOST:PORT``, or of what CLIENT LIST shows of a Unix socket."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        ip_address(host)
    except ValueError:
        return {"network.transport": "unix"}
    return {
        "network.transport": "tcp",
        "network.peer.address": host,
        "network.peer.port": int(port),
    }


class Collector(SpanExporter):
    """Sends spans to ``endpoint``, and says in the log when that begins to fail and when it goes
    again. Where spans go that can't be sent: nowhere."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = traces_url(endpoint)
        self._exporter = OTLPSpanExporter(endpoint=self._endpoint, timeout=SEND_SECONDS)
        self._fails = False
        _keep_quiet()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails is not self._fails:
            self._fails = fails
            if fails:
                log.warning("Traces can't be sent to %s: they are dropped", self._endpoint)
            else:
                log.log(NOTICE, "Traces are sent to %s again", self._endpoint)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def traces_url(endpoint: str) -> str:
    """Where traces go: a bare ``http://HOST:PORT`` is a collector's, which has a path for them."""
    url = urlsplit(endpoint)
    return urlunsplit(url._replace(path=_PATH)) if url.path in ("", "/") else endpoint


def _keep_quiet() -> None:
    """OpenTelemetry logs each failure; unless the program has handlers of its own for that, it
    would come out on standard error."""
    logger = logging.getLogger("opentelemetry")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
