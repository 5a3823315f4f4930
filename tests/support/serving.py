# SPDX-License-Identifier: Apache-2.0
"""The REST service of a small world behind a real HTTP server on a loopback port: for what needs a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from support.api import NEWEST, ApiWorld, api_world
from zun.api.options import ApiOptions
from zun.api.server import listen, serve
from zun.api.streams.options import StreamOptions

PATIENCE_SECONDS = 60.0
"""For what happens in no time, unless it is broken."""


class Served:
    """A world with an address. `member` and the others are clients over the wire."""

    def __init__(self, api: ApiWorld, address: str, clients: dict[str, httpx.AsyncClient]) -> None:
        self.api = api
        self.address = address
        self.clients = clients
        self.member = clients["member"]
        self.reader = clients["reader"]
        self.other = clients["other"]
        self.admin = clients["admin"]

    async def open(self, url: str, *protocols: str, **options: object) -> ClientConnection:
        """Open a console by the URL that the API gave. Raises `websockets.InvalidStatus`."""
        return await websockets.connect(  # type: ignore[return-value]
            url, subprotocols=[websockets.Subprotocol(name) for name in protocols] or None, proxy=None, **options
        )


@asynccontextmanager
async def served(streams: StreamOptions | None = None) -> AsyncIterator[Served]:
    """The service, listening as long as the context lasts."""
    options = ApiOptions(port=0, stop_seconds=1)
    async with api_world(options=options, streams=streams) as api:
        listening = listen(options)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(serve(api.app, options, listening))
        clients = {
            who: httpx.AsyncClient(
                base_url=f"http://{address}",
                headers={"X-Auth-Token": who, "OpenStack-API-Version": NEWEST},
                timeout=PATIENCE_SECONDS,
                trust_env=False,
            )
            for who in ("member", "reader", "other", "admin")
        }
        try:
            yield Served(api, address, clients)
        finally:
            for client in clients.values():
                await client.aclose()
            api.lifetime.end()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
