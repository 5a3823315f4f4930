# SPDX-License-Identifier: Apache-2.0
"""A node's stream server and an API server's connections to it, in one process, with a real connection in between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from zun.base.clock import Clock, SystemClock
from zun.nodestreams.addresses import Address
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import RemoteNode
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.nodestreams.options import NodeStreamOptions
from zun.nodestreams.security import ClientSecurity, PlainClient, PlainServer, ServerSecurity, TlsClient, TlsServer
from zun.nodestreams.server import StreamServer
from zun.services.nodelive import NodeLive
from zun.services.nodelive_contract import PATIENCE_SECONDS

LOOPBACK = Address("127.0.0.1", 0)
QUICK = NodeStreamOptions(connect_seconds=1.0, keepalive_seconds=0.5, keepalive_timeout_seconds=0.5)
"""Notices within a second what is gone."""


class Pair:
    """Both sides. `far` is the node as the API has it."""

    def __init__(
        self, live: NodeLive, *, server: ServerSecurity, client: ClientSecurity, options: NodeStreamOptions
    ) -> None:
        self.options = options
        self.live = live
        self.server = StreamServer("n1", server, options)
        self.channels = Channels(client, options, SystemClock())
        self.address = LOOPBACK

    def node(self, name: str = "n1", address: Address | None = None, *, call_seconds: float = 30.0) -> RemoteNode:
        """A node by name, at the server's address or another."""
        return RemoteNode(name, address or self.address, self.channels, call_seconds=call_seconds)

    @property
    def far(self) -> RemoteNode:
        return self.node()

    async def sweep(self, *known: str) -> None:
        """Let the connections be looked after."""
        await self.channels.sweep(lambda node: node in known)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in no time, unless it is broken."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - looks at state that has no event
            await asyncio.sleep(0.005)


async def drained(pieces: AsyncIterator[object]) -> None:
    """Read to the end."""
    async for _ in pieces:
        pass


@asynccontextmanager
async def pair(
    live: NodeLive,
    node: TlsFiles | None = None,
    control: TlsFiles | None = None,
    *,
    clock: Clock | None = None,
    **options: object,
) -> AsyncIterator[Pair]:
    """A pair in plain words, or with both certificates in TLS. `clock` says when files are looked at."""
    clock = clock or SystemClock()
    server: ServerSecurity = PlainServer(LOOPBACK) if node is None else TlsServer(Credentials(node, clock))
    client: ClientSecurity = PlainClient() if control is None else TlsClient(Credentials(control, clock))
    made = Pair(live, server=server, client=client, options=msgspec.structs.replace(QUICK, **options))
    made.address = made.server.listen(LOOPBACK)
    await made.server.serve(live)
    try:
        yield made
    finally:
        await made.channels.close()
        await made.server.stop()
        await asyncio.sleep(0)
