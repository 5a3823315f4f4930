# SPDX-License-Identifier: Apache-2.0
"""The microversion of a request, from its header; answers name it again."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from zun.api.errors import VERSION_UNSUPPORTED
from zun.api.exchange import exchange_of
from zun.model import microversions
from zun.model.errors import Unsupported
from zun.model.microversions import MAXIMUM, MINIMUM, Microversion, text

VERSION_HEADER = b"openstack-api-version"
SERVICE = "container"


class MicroversionLayer:
    """Settles the version in use. Raises `Unsupported` (406) for one that this service does not speak."""

    def __init__(self, app: ASGIApp, unversioned_paths: Collection[str]) -> None:
        self._app = app
        self._unversioned = frozenset(unversioned_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] not in self._unversioned:
            exchange = exchange_of(scope)
            exchange.versioned = True
            exchange.version = requested_version(exchange.headers.get(VERSION_HEADER))
        await self._app(scope, receive, send)


def requested_version(header: bytes | None) -> Microversion:
    """The version that a header asks for; without one, the oldest. Raises `Unsupported` (406)."""
    if header is None:
        return MINIMUM
    written = header.decode("latin-1")
    for item in written.split(","):
        service, _, version_text = item.strip().partition(" ")
        if service.lower() != SERVICE:
            continue
        version = microversions.parse(version_text.strip())
        if version is None:
            break
        if not microversions.supported(version):
            raise Unsupported(
                f"The microversion {text(version)} is unsupported; this service speaks {text(MINIMUM)} to {text(MAXIMUM)}.",
                code=VERSION_UNSUPPORTED,
                status=406,
            )
        return version
    raise Unsupported(
        f"The header OpenStack-API-Version must be like '{SERVICE} {text(MAXIMUM)}' or '{SERVICE} latest'.",
        code="",
        status=406,
    )
