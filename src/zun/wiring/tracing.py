# SPDX-License-Identifier: Apache-2.0
"""Picks who follows requests: a collector of traces, or nobody."""

import os
import socket
from contextlib import AsyncExitStack

from zun import __version__
from zun.config import Settings
from zun.telemetry.tracing import NO_TRACER, Tracer


def open_tracer(settings: Settings, stack: AsyncExitStack, service: str) -> Tracer:
    """The tracer of a process, called `service` in traces. OpenTelemetry is loaded only when a collector is named."""
    if not settings.tracing.endpoint:
        return NO_TRACER
    from zun.telemetry.otlp import OtlpTracer  # noqa: PLC0415

    tracer = OtlpTracer(
        settings.tracing, service=service, version=__version__, instance=f"{socket.gethostname()}:{os.getpid()}"
    )
    stack.push_async_callback(tracer.close)
    return tracer
