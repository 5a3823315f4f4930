# SPDX-License-Identifier: Apache-2.0
"""Each request once it is answered: a line in the log, and whoever counts requests is told."""

import logging
from typing import Protocol
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from zun.api.exchange import exchange_of
from zun.base.clock import Clock

_LOG = logging.getLogger("zun.access")


class Observe(Protocol):
    """Told of every answered request. `route` is the route's name, never a path (it would hold names and ids)."""

    def __call__(self, route: str, method: str, status: int, seconds: float) -> None:
        """Take note; must be fast and must not fail."""


def observe_nothing(route: str, method: str, status: int, seconds: float) -> None:
    """For those who do not count."""


class AccessLayer:
    """Times each request, and writes a line: at level INFO of changes and refusals, at DEBUG of what was only looked at.

    Queries are left out; they may hold what a user typed.
    """

    def __init__(self, app: ASGIApp, clock: Clock, observe: Observe) -> None:
        self._app = app
        self._clock = clock
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = exchange_of(scope)
        try:
            await self._app(scope, receive, send)
        finally:
            seconds = self._clock.monotonic() - exchange.started
            self._observe(exchange.route or "none", scope["method"], exchange.status, seconds)
            level = logging.DEBUG if scope["method"] == "GET" and exchange.status < 400 else logging.INFO
            if _LOG.isEnabledFor(level):
                _LOG.log(
                    level,
                    "%s %s %s %d %.1f ms",
                    exchange.caller.user_id if exchange.caller else "-",
                    scope["method"],
                    quote(scope["path"]),
                    exchange.status,
                    seconds * 1000,
                )
