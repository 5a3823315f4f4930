# SPDX-License-Identifier: Apache-2.0
"""A captured node: a server that speaks the protocol and says what it likes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from support.stream_pair import QUICK
from zun.base.clock import SystemClock
from zun.nodestreams import protocol
from zun.nodestreams.addresses import Address
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import RemoteNode
from zun.nodestreams.security import PlainClient


@asynccontextmanager
async def lied_to_by(**answers: Callable[..., Any]) -> AsyncIterator[RemoteNode]:
    """A node as the API sees it, whose calls (by name) are these handlers of gRPC."""
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)])
    handlers = {
        name: _STYLES.get(name, grpc.unary_unary_rpc_method_handler)(answer) for name, answer in answers.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(protocol.SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channels = Channels(PlainClient(), QUICK, SystemClock())
    try:
        yield RemoteNode("n1", Address("127.0.0.1", port), channels, call_seconds=10)
    finally:
        await channels.close()
        await server.stop(0)


_STYLES: dict[str, Any] = {
    protocol.LOGS: grpc.unary_stream_rpc_method_handler,
    protocol.GET_ARCHIVE: grpc.unary_stream_rpc_method_handler,
    protocol.SESSION: grpc.stream_stream_rpc_method_handler,
    protocol.PUT_ARCHIVE: grpc.stream_unary_rpc_method_handler,
}
