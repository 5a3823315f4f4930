# SPDX-License-Identifier: Apache-2.0
"""Traces by OpenTelemetry's SDK, sent as OTLP over HTTP from a thread of its own; what cannot be sent in time is dropped, never waited for."""

import asyncio
import threading

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from zun.telemetry.options import TracingOptions
from zun.telemetry.tracing import Attributes, Span

_FORM = TraceContextTextMapPropagator()
_SEND_SECONDS = 1.0
_EXPORT_SECONDS = 10.0
_LAST_WORDS_SECONDS = 5.0


class OtlpTracer:
    """A tracer (see `zun.telemetry.tracing`) of the process `service`; `instance` tells it from its like. To be closed."""

    def __init__(self, options: TracingOptions, *, service: str, version: str, instance: str) -> None:
        resource = Resource({"service.name": service, "service.version": version, "service.instance.id": instance})
        sampler = ParentBased(TraceIdRatioBased(options.sample_ratio))
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=options.endpoint.rstrip("/") + "/v1/traces", timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_SECONDS * 1000))
        self._tracer = self._provider.get_tracer("zun", version)

    def begin(self, parent: str) -> Span:
        """A request begins."""
        return _OpenSpan(self._tracer.start_span("request", _context(parent), SpanKind.SERVER))

    def record(
        self, name: str, parent: str, *, began: float, ended: float, attributes: Attributes, error: str = ""
    ) -> str:
        """A piece of work that is over."""
        if not parent:
            return ""
        span = self._tracer.start_span(name, _context(parent), start_time=_nanoseconds(began), attributes=attributes)
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(_nanoseconds(max(began, ended)))
        return _written(span)

    async def close(self) -> None:
        """Send what is left, for a while."""
        telling = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        telling.start()
        await asyncio.to_thread(telling.join, _LAST_WORDS_SECONDS)


class _OpenSpan:
    """A request in work."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.traceparent = _written(span)

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        """It is over."""
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


def _context(parent: str) -> Context:
    """What is no traceparent counts as none."""
    return _FORM.extract({"traceparent": parent}, Context())


def _written(span: trace.Span) -> str:
    carrier: dict[str, str] = {}
    _FORM.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get("traceparent", "")


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
