# SPDX-License-Identifier: Apache-2.0
"""WebSockets that are asked for like any other URL: the request passes through the layers of the application (request id, token, version,
errors, access log), and what is wrong is an HTTP answer. Only an answer with status 101 makes a socket of it.

A browser cannot send the header with the token, so no web page opens one of these.
"""

from collections.abc import Iterable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from zun.api.routing import Route, Router
from zun.model.errors import NotFound

SWITCHING = 101
_KEY = "zun.socket"
_ANSWERING = (WebSocketState.CONNECTING, WebSocketState.RESPONSE)
"""While it is no socket yet, and an answer without one is possible."""


def socket_of(scope: Scope) -> WebSocket | None:
    """What the client asks to become of its request; None for a plain one."""
    found = scope.get(_KEY)
    assert found is None or isinstance(found, WebSocket)  # noqa: S101 - `Upgrading` put it there
    return found


class Upgrading:
    """Leads requests for WebSockets through the HTTP application. `knows` says which are for it."""

    def __init__(self, http: ASGIApp, routes: Iterable[Route]) -> None:
        self._http = http
        self._router = Router(route for route in routes if route.socket)

    def knows(self, path: str) -> bool:
        """Whether there is a URL for sockets at this path."""
        try:
            self._router.lookup(path)
        except NotFound:
            return False
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one."""
        socket = WebSocket(scope, receive, send)

        async def answer(message: Message) -> None:
            try:
                if message["type"] == "http.response.start" and message["status"] == SWITCHING:
                    await socket.accept(message.get("subprotocol"), message["headers"])
                elif socket.application_state in _ANSWERING:
                    await socket.send({**message, "type": f"websocket.{message['type']}"})
            except (OSError, WebSocketDisconnect) as error:
                raise ClientDisconnect from error

        await self._http({**scope, "type": "http", "method": "GET", _KEY: socket}, receive, answer)
