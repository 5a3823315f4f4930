# SPDX-License-Identifier: Apache-2.0
"""No token, no answer; but for the few public documents."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from zun.api.exchange import Exchange, exchange_of
from zun.api.routing import segments_of
from zun.drivers.identity.base import Asked, Identity
from zun.model.caller import Caller
from zun.model.errors import Denied

TOKEN_HEADER = b"x-auth-token"
SERVICE_TOKEN_HEADER = b"x-service-token"


async def caller_of(identity: Identity, exchange: Exchange, scope: Scope) -> Caller:
    """Who asks. Raises `Denied`, 401 without a good token; `Unavailable`."""
    token = _header(exchange, TOKEN_HEADER)
    if not token:
        raise Denied("A token is needed in the header X-Auth-Token.", status=401)
    known = identity.cached(token)
    if known is not None:
        return known
    path = "/" + "/".join(segments_of(scope["path"]) or [])
    return await identity.authenticate(token, Asked(scope["method"], path, _header(exchange, SERVICE_TOKEN_HEADER)))


def _header(exchange: Exchange, name: bytes) -> str:
    return exchange.headers.get(name, b"").decode("latin-1").strip()


class AuthenticationLayer:
    """Settles who asks. Raises as `caller_of`, whatever the URL: strangers learn nothing of ours."""

    def __init__(self, app: ASGIApp, identity: Identity, public_paths: Collection[str]) -> None:
        self._app = app
        self._identity = identity
        self._public = frozenset(public_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = exchange_of(scope)
        if exchange.caller is None and not self._is_public(scope["path"]):
            exchange.caller = await caller_of(self._identity, exchange, scope)
        await self._app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        return path in self._public or path.rstrip("/") in self._public
