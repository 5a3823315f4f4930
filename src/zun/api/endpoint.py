# SPDX-License-Identifier: Apache-2.0
"""The innermost layer: finds the route, checks what it demands of a request, calls its handler."""

from starlette.types import Receive, Scope, Send

from zun.api.exchange import exchange_of
from zun.api.options import ApiOptions
from zun.api.requests import Call
from zun.api.routing import Router, check_accept, check_content_type, check_version
from zun.store.view import View


class Endpoint:
    """The ASGI application behind all layers."""

    def __init__(self, router: Router, view: View, options: ApiOptions) -> None:
        self._router = router
        self._view = view
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = exchange_of(scope)
        match = self._router.find(scope["method"], scope["path"])
        route = match.route
        exchange.route = route.name
        check_version(route, exchange.version)
        check_accept(route, exchange.headers.get(b"accept"))
        check_content_type(route, exchange.headers.get(b"content-type"))
        limit = self._options.max_archive_body_bytes if route.large else self._options.max_body_bytes
        call = Call(scope, receive, match.params, self._options, route.most_bytes or limit)
        response = await route.handler(call)
        if scope["method"] == "GET" and not route.public:
            exchange.stale_since = self._view.stale_since
        await response(scope, call.receive, send)
