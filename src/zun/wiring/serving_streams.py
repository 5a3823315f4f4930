# SPDX-License-Identifier: Apache-2.0
"""Builds a node's stream server. It loads grpc, so `zund all` does without."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from zun.agent.agent import Agent
from zun.agent.fingerprinting import Endpoint
from zun.base.clock import Clock
from zun.base.request_scope import told
from zun.config import Settings
from zun.nodestreams.addresses import Address, parse_address, told_address
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.nodestreams.security import PlainServer, TlsServer
from zun.nodestreams.server import StreamServer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeStreams:
    """A node's stream server that has its port: `endpoint` is what the node tells of it."""

    endpoint: Endpoint
    server: StreamServer

    async def run(self, agent: Agent) -> NoReturn:
        """Serve until cancelled, once the agent knows its containers."""
        try:
            await agent.ready()
            await self.server.serve(agent.live)
            await asyncio.Event().wait()
        finally:
            await self.server.stop()
        raise AssertionError("only cancellation ends it")


def open_node_streams(settings: Settings, *, node: str, clock: Clock) -> NodeStreams:
    """Take the port. Raises `Invalid` for addresses that cannot be, or one beyond this machine without a certificate, `Unavailable`
    when the port is taken."""
    listen = parse_address(settings.compute.stream_listen, any_port=True)
    files = TlsFiles(*(settings.state_dir / name for name in ("ca.pem", "node.pem", "node.pem")))
    if not files.certificate.exists():
        server = StreamServer(node, PlainServer(listen), settings.node_streams, around=_within_request)
        return NodeStreams(Endpoint(_told(settings, server.listen(listen))), server)
    credentials = Credentials(files, clock)
    server = StreamServer(node, TlsServer(credentials), settings.node_streams, around=_within_request)
    address = _told(settings, server.listen(listen))
    return NodeStreams(Endpoint(address, lambda: credentials.current().expires_at), server)


@contextmanager
def _within_request(metadata: Mapping[str, str]) -> Iterator[None]:
    with told(metadata):
        _LOG.debug("An API server calls.")
        yield


def _told(settings: Settings, listening: Address) -> str:
    """Where API servers are told to come to."""
    return str(told_address(listening, wished=settings.compute.stream_address, peer=settings.store.endpoint))
