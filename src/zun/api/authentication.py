# SPDX-License-Identifier: Apache-2.0
"""No token, no answer; but for the few public documents."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from zun.api.exchange import exchange_of
from zun.drivers.identity.base import Identity
from zun.model.errors import Denied

TOKEN_HEADER = b"x-auth-token"


class AuthenticationLayer:
    """Settles who asks. Raises `Denied` (401) without a good token, whatever the URL: strangers learn nothing of ours."""

    def __init__(self, app: ASGIApp, identity: Identity, public_paths: Collection[str]) -> None:
        self._app = app
        self._identity = identity
        self._public = frozenset(public_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = exchange_of(scope)
        if exchange.caller is None and not self._is_public(scope["path"]):
            token = exchange.headers.get(TOKEN_HEADER, b"").decode("latin-1").strip()
            if not token:
                raise Denied("A token is needed in the header X-Auth-Token.", status=401)
            exchange.caller = self._identity.cached(token) or await self._identity.authenticate(token)
        await self._app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        return path in self._public or path.rstrip("/") in self._public
