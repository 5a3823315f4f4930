# SPDX-License-Identifier: Apache-2.0
"""The REST service as one ASGI application: its layers in order, and what they are made from."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from zun.api.access import AccessLayer, Observe, observe_nothing
from zun.api.authentication import AuthenticationLayer
from zun.api.cors import CorsLayer
from zun.api.endpoint import Endpoint
from zun.api.errors import ErrorLayer
from zun.api.exchange import ExchangeLayer
from zun.api.microversions import MicroversionLayer
from zun.api.options import ApiOptions
from zun.api.origin import Origin
from zun.api.pagecache import PageCacheLayer
from zun.api.routing import Route, Router
from zun.api.streams.upgrading import Upgrading
from zun.api.tracing import TracingLayer
from zun.base.clock import Clock
from zun.base.ids import new_request_id
from zun.base.request_scope import RequestScope, enter
from zun.drivers.identity.base import Identity
from zun.store.view import View
from zun.telemetry.tracing import NO_TRACER, Tracer

WebSocketHandler = Callable[[WebSocket], Awaitable[None]]

_UNVERSIONED = frozenset({"/", "", "/healthcheck", "/healthcheck/", "/metrics", "/metrics/"})
_NO_SUCH_SOCKET = 4404


@dataclass(frozen=True)
class Around:
    """What the layers around the handlers need."""

    identity: Identity
    view: View
    clock: Clock
    options: ApiOptions
    observe: Observe = observe_nothing
    tracer: Tracer = NO_TRACER


def layers(routes: list[Route], around: Around) -> ASGIApp:
    """The layers, innermost first. Each sees only what the ones outside of it let pass."""
    options, identity, clock = around.options, around.identity, around.clock
    public = {route.path for route in routes if route.public}
    app: ASGIApp = Endpoint(Router(routes), around.view, options)
    app = MicroversionLayer(app, _UNVERSIONED)
    app = AuthenticationLayer(app, identity, public)
    app = PageCacheLayer(app, identity, around.view, clock, options.page_cache_bytes)
    if options.cors_allowed_origins:
        app = CorsLayer(app, options.cors_allowed_origins)
    app = ErrorLayer(app, identity.challenge)
    app = AccessLayer(app, clock, around.observe)
    if around.tracer is not NO_TRACER:
        app = TracingLayer(app, around.tracer)
    return ExchangeLayer(app, clock, Origin(options.trusted_proxies))


class Application:
    """Sends HTTP requests through the layers, and so WebSockets that are asked for with a token in a header; others to their handlers,
    which authenticate by their own tokens."""

    def __init__(self, http: ASGIApp, sockets: dict[str, WebSocketHandler], upgrading: Upgrading) -> None:
        self._http = http
        self._sockets = sockets
        self._upgrading = upgrading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket" and self._upgrading.knows(scope["path"]):
            await self._upgrading(scope, receive, send)
        elif scope["type"] == "websocket":
            enter(RequestScope(new_request_id()))
            socket = WebSocket(scope, receive, send)
            handler = self._sockets.get(scope["path"].rstrip("/"))
            if handler is None:
                await socket.close(_NO_SUCH_SOCKET)
            else:
                await handler(socket)
