# SPDX-License-Identifier: Apache-2.0
"""A collector of traces: takes OTLP over HTTP and keeps the spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(msgspec.Struct, frozen=True):
    """A piece of work as it was told. Times in nanoseconds; `parent` is "" for a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    failed: bool
    attributes: dict[str, str]


class Receiver:
    """Where it listens, and what it was told so far."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._lock = threading.Lock()
        self._spans: list[Span] = []

    def take(self, body: bytes) -> None:
        """Keep what a request holds."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for resource in request.resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [_span(names["service.name"], span) for span in scope.spans]

    def spans(self) -> list[Span]:
        """All spans."""
        with self._lock:
            return list(self._spans)


def _span(service: str, told: object) -> Span:
    attributes = {each.key: each.value.string_value for each in told.attributes}  # type: ignore[attr-defined]
    return Span(
        service,
        told.name,  # type: ignore[attr-defined]
        told.trace_id.hex(),  # type: ignore[attr-defined]
        told.span_id.hex(),  # type: ignore[attr-defined]
        told.parent_span_id.hex(),  # type: ignore[attr-defined]
        told.start_time_unix_nano,  # type: ignore[attr-defined]
        told.end_time_unix_nano,  # type: ignore[attr-defined]
        told.status.code == 2,  # type: ignore[attr-defined]
        attributes,
    )


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A collector on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, name="collector", daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
