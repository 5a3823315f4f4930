# SPDX-License-Identifier: Apache-2.0
"""Calls from web pages of other origins: refused by browsers unless an operator names the origin."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zun.api.exchange import exchange_of

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = b"X-Auth-Token, OpenStack-API-Version, Content-Type, Accept"
_EXPOSED = (
    b"X-OpenStack-Request-Id, OpenStack-API-Version, OpenStack-API-Minimum-Version, OpenStack-API-Maximum-Version, "
    b"Location, X-Zun-Path-Stat"
)


class CorsLayer:
    """Answers preflights and marks answers for allowed origins. Cookies are never used, so none are allowed."""

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").encode() for origin in allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = exchange_of(scope).headers
        origin = headers.get(b"origin")
        if origin is None or origin not in self._origins:
            await self._app(scope, receive, send)
            return
        common = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            response = Response(status_code=204)
            response.raw_headers += [
                *common,
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _REQUEST_HEADERS),
            ]
            await response(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *common, (b"access-control-expose-headers", _EXPOSED)]
            await send(message)

        await self._app(scope, receive, marked)
