# SPDX-License-Identifier: Apache-2.0
"""Whole answers, kept while nothing that they show changed.

Most GETs ask what was asked a moment ago. The key holds all that an answer depends on besides the state: the URL, who asks, the
microversion, how the client reached us. The state itself is looked at each time (`Keep.current`), after the view caught up with the
store, so a kept answer is never older than a fresh one would be.
"""

from collections import OrderedDict

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zun.api.authentication import TOKEN_HEADER
from zun.api.exchange import Exchange, Keep, exchange_of
from zun.api.microversions import VERSION_HEADER
from zun.base.clock import Clock
from zun.drivers.identity.base import Identity
from zun.model.microversions import Microversion
from zun.store.view import View

_OVERHEAD_BYTES = 1024

Key = tuple[object, ...]


class Page(msgspec.Struct, frozen=True):
    """A kept answer."""

    keep: Keep
    version: Microversion
    route: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    cost: int = 0
    """Bytes of memory it takes, its key included: a client may ask with a query as long as it likes."""


class PageCacheLayer:
    """Answers from memory where a handler allowed it; bounded by bytes, the longest unused go first."""

    def __init__(self, app: ASGIApp, identity: Identity, view: View, clock: Clock, max_bytes: int) -> None:
        self._app = app
        self._identity = identity
        self._view = view
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pages: OrderedDict[Key, Page] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] != "GET" or not self._max_bytes:
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        headers = exchange.headers
        token = headers.get(TOKEN_HEADER)
        exchange.caller = self._identity.cached(token.decode("latin-1").strip()) if token else None
        if exchange.caller is None:
            await self._app(scope, receive, send)
            return
        key = (
            scope["path"],
            scope["query_string"],
            exchange.caller,
            headers.get(VERSION_HEADER),
            headers.get(b"accept"),
            exchange.base_url,
        )
        page = await self._current(key)
        if page is None:
            await self._app(scope, receive, self._recorder(key, exchange, send))
            return
        exchange.version, exchange.versioned, exchange.route = page.version, True, page.route
        await send({"type": "http.response.start", "status": 200, "headers": page.headers})
        await send({"type": "http.response.body", "body": page.body})

    async def _current(self, key: Key) -> Page | None:
        if key not in self._pages:
            return None
        await self._view.fresh()
        page = self._pages.get(key)
        if page is None or self._view.stale_since is not None:
            return None
        if self._clock.now() >= page.keep.until or page.keep.current() != page.keep.token:
            self._drop(key)
            return None
        self._pages.move_to_end(key)
        return page

    def _recorder(self, key: Key, exchange: Exchange, send: Send) -> Send:
        status, headers = 0, []

        async def record(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message["headers"])  # before outer layers add theirs
            elif exchange.keep is not None and not message.get("more_body") and status == 200:
                body = message["body"]
                page = Page(exchange.keep, exchange.version, exchange.route, headers, body, _cost(key, body))
                self._put(key, page)
            await send(message)

        return record

    def _put(self, key: Key, page: Page) -> None:
        self._drop(key)
        if page.cost > self._max_bytes:
            return
        self._pages[key] = page
        self._bytes += page.cost
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._pages)))

    def _drop(self, key: Key) -> None:
        page = self._pages.pop(key, None)
        if page is not None:
            self._bytes -= page.cost


def _cost(key: Key, body: bytes) -> int:
    return _OVERHEAD_BYTES + len(body) + sum(len(part) for part in key if isinstance(part, bytes | str))
