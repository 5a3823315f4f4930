# SPDX-License-Identifier: Apache-2.0
"""What is known of one HTTP exchange while it passes through the layers of the application.

It travels in the ASGI scope; each layer fills in its part, and nobody parses the same header twice.
"""

from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zun.api.origin import Origin
from zun.base.clock import Clock
from zun.base.ids import new_request_id
from zun.base.request_scope import RequestScope, enter
from zun.model import microversions
from zun.model.caller import Caller
from zun.model.microversions import MAXIMUM, MINIMUM, Microversion

_KEY = "zun.exchange"
_VERSION_HEADERS = {
    version: (
        (b"openstack-api-version", f"container {microversions.text(version)}".encode()),
        (b"openstack-api-minimum-version", f"container {microversions.text(MINIMUM)}".encode()),
        (b"openstack-api-maximum-version", f"container {microversions.text(MAXIMUM)}".encode()),
        (b"vary", b"OpenStack-API-Version"),
    )
    for version in microversions.HISTORY
}
"""The headers that name the version, ready for each version there is."""


class Keep:
    """A handler's permission to keep its answer: as long as `current()` equals `token`, and until the instant `until`."""

    __slots__ = ("current", "token", "until")

    def __init__(self, current: Callable[[], object], token: object, until: float) -> None:
        self.current = current
        self.token = token
        self.until = until


class Exchange:
    """One request and its answer. `versioned`: the microversion is settled, and the answer names it."""

    __slots__ = (
        "base_url",
        "caller",
        "headers",
        "keep",
        "request_id",
        "response_started",
        "route",
        "stale_since",
        "started",
        "status",
        "version",
        "versioned",
    )

    def __init__(self, request_id: str, headers: dict[bytes, bytes], started: float) -> None:
        self.request_id = request_id
        self.headers = headers
        self.started = started
        self.caller: Caller | None = None
        self.version: Microversion = MINIMUM
        self.versioned = False
        self.base_url = ""
        self.route = ""
        self.status = 0
        self.response_started = False
        self.stale_since: float | None = None
        self.keep: Keep | None = None

    def stamp(self) -> list[tuple[bytes, bytes]]:
        """The headers that every answer carries."""
        headers = [(b"x-openstack-request-id", self.request_id.encode())]
        if self.versioned:
            headers += _VERSION_HEADERS[self.version]
        if self.stale_since is not None:
            headers.append((b"warning", b'110 - "The store is away: this is what was last known"'))
        return headers


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a scope that passed the outermost layer."""
    found: Any = scope[_KEY]
    assert isinstance(found, Exchange)  # noqa: S101 - the outermost layer put it there
    return found


class ExchangeLayer:
    """The outermost layer: gives each request its id, and each answer the headers that all answers carry."""

    def __init__(self, app: ASGIApp, clock: Clock, origin: Origin) -> None:
        self._app = app
        self._clock = clock
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = dict(scope["headers"])
        exchange = Exchange(new_request_id(), headers, self._clock.monotonic())
        exchange.base_url = self._origin.base_url(scope, headers)
        scope[_KEY] = exchange
        enter(RequestScope(exchange.request_id))  # the server runs each request in a task of its own

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.response_started = True
                message["headers"] = [*message.get("headers", ()), *exchange.stamp()]
            await send(message)

        await self._app(scope, receive, stamped)
