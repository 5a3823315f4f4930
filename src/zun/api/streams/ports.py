# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/containers/{ident}/port_forward`, and the same of a capsule: a WebSocket that is a TCP connection to a port inside.

A plain request is checked in all that can be known beforehand, and answered with 426.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from zun.api.requests import Call
from zun.api.streams.bridge import close
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.options import StreamOptions
from zun.api.streams.port_bridge import PortBridge
from zun.api.streams.upgrading import SWITCHING, socket_of
from zun.drivers.runtime.base import Tunnel
from zun.model.caller import RequestContext
from zun.model.errors import Invalid
from zun.model.fields import Field, Unknown
from zun.model.rules import integer
from zun.services.capsules import CapsuleService
from zun.services.containers import ContainerService
from zun.services.live import LiveService
from zun.store.view import ContainerEntry

_LOG = logging.getLogger(__name__)

PROTOCOL = "zun.port.v1"
_STOPPING = 1012
_UPGRADE_REQUIRED = 426

Find = Callable[[RequestContext, str], Awaitable[ContainerEntry]]


class PortForm(msgspec.Struct, frozen=True):
    """Of port_forward."""

    port: Annotated[int, Field(rule=integer(1, 65535), required=True, nullable=False, doc="A TCP port inside.")]


class PortHandlers:
    """Connections to ports."""

    def __init__(
        self,
        containers: ContainerService,
        capsules: CapsuleService,
        live: LiveService,
        lifetime: Lifetime,
        options: StreamOptions,
    ) -> None:
        self._containers = containers
        self._capsules = capsules
        self._live = live
        self._lifetime = lifetime
        self._options = options

    async def of_container(self, call: Call) -> Response:
        """A WebSocket to a TCP port of a container."""
        return await self._forward(call, self._containers.find)

    async def of_capsule(self, call: Call) -> Response:
        """A WebSocket to a TCP port of a capsule."""
        return await self._forward(call, self._capsules.find)

    async def _forward(self, call: Call, find: Find) -> Response:
        form = call.query_arguments(PortForm, unknown=Unknown.REFUSE_QUERY)
        entry = await find(call.context, call.params["ident"])
        socket = socket_of(call.scope)
        if socket is None:
            self._live.listener(call.context, entry)
            raise Invalid(
                "Connections to ports are WebSockets: ask for this URL with an upgrade, as zunctl port-forward does.",
                code="upgrade-required",
                status=_UPGRADE_REQUIRED,
            )
        opened = self._live.port_forward(call.context, entry, form.port)
        _LOG.info("A connection to port %d of %s is asked for.", form.port, entry.uuid)
        return _Connection(opened, socket, self._lifetime, self._options)


class _Connection(Response):
    """An answer that becomes a socket once the container has taken the connection. Raises what opening it raises."""

    def __init__(
        self,
        opened: AbstractAsyncContextManager[Tunnel],
        socket: WebSocket,
        lifetime: Lifetime,
        options: StreamOptions,
    ) -> None:
        super().__init__(status_code=SWITCHING)
        self._opened = opened
        self._socket = socket
        self._lifetime = lifetime
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Serve it."""
        async with self._opened as tunnel:
            chosen = PROTOCOL if PROTOCOL in scope["subprotocols"] else None
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": [], "subprotocol": chosen}
            )
            bridge = PortBridge(tunnel, self._socket, self._options)
            if not await self._lifetime.bound(bridge.run()):
                await close(self._socket, _STOPPING, "The service stops; connect again when it is back.")
