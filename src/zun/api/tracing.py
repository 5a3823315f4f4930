# SPDX-License-Identifier: Apache-2.0
"""Each request as the root of what it causes, or as a part of its client's trace."""

from starlette.types import ASGIApp, Receive, Scope, Send

from zun.api.exchange import exchange_of
from zun.base.request_scope import RequestScope, enter
from zun.telemetry.tracing import Tracer

_FAULT = 500


class TracingLayer:
    """Follows requests; there is none when traces are off."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = exchange_of(scope)
        span = self._tracer.begin(exchange.headers.get(b"traceparent", b"").decode("latin-1"))
        enter(RequestScope(exchange.request_id, span.traceparent))
        try:
            await self._app(scope, receive, send)
        finally:
            attributes = {
                "http.request.method": scope["method"],
                "http.route": exchange.route or "none",
                "http.response.status_code": exchange.status,
                "zun.request_id": exchange.request_id,
            }
            error = f"status {exchange.status}" if exchange.status >= _FAULT else ""
            span.end(f"{scope['method']} {exchange.route or 'none'}", attributes, error)
