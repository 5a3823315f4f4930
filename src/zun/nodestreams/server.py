# SPDX-License-Identifier: Apache-2.0
"""A node's stream server. Only the control plane may call it: with TLS a client must show a certificate of our authority with its name."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc
import grpc.aio

from zun.model.errors import Unavailable, ZunError
from zun.nodestreams import failures, protocol
from zun.nodestreams.addresses import Address
from zun.nodestreams.admission import Admission
from zun.nodestreams.calls import Calls
from zun.nodestreams.options import NodeStreamOptions
from zun.nodestreams.security import ServerSecurity, Stranger
from zun.services.nodelive import NodeLive

_LOG = logging.getLogger(__name__)
_STOP_SECONDS = 2.0
_TELL_SECONDS = 10.0
_SPARE_CALLS = 100
"""Beyond what is served, so many may wait for being refused with a reason."""

Handler = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]
Around = Callable[[Mapping[str, str]], AbstractContextManager[None]]


def _nothing_around(_: Mapping[str, str]) -> AbstractContextManager[None]:
    return nullcontext()


class Strangers:
    """Those who were turned away: told now and then, so that they cannot fill the log."""

    def __init__(self) -> None:
        self._untold = 0
        self._tell_at = 0.0

    def seen(self, peer: str, who: str) -> None:
        """One more."""
        self._untold += 1
        now = asyncio.get_running_loop().time()
        if now < self._tell_at:
            return
        _LOG.warning(
            "Streams were refused to %s, whose certificate is of %s (calls refused: %d)", peer, who, self._untold
        )
        self._untold, self._tell_at = 0, now + _TELL_SECONDS


class StreamServer:
    """Serves one node's live things: `listen`, `serve`, and in the end `stop`."""

    def __init__(
        self, node: str, security: ServerSecurity, options: NodeStreamOptions, *, around: Around = _nothing_around
    ) -> None:
        """`around` is a context for each call, made of its metadata: for what a log line should tell of it."""
        self._node = node
        self._around = around
        self._security = security
        self._stopping = False
        self._running: set[asyncio.Task[Any]] = set()
        self._strangers = Strangers()
        self.admission = Admission(node, options)
        self._server = grpc.aio.server(
            options=protocol.server_arguments(options),
            maximum_concurrent_rpcs=options.most_streams + options.most_calls + _SPARE_CALLS,
        )

    def listen(self, address: Address) -> Address:
        """Take a port (0: any free one) and return where that is; who calls waits for `serve`. Raises `Unavailable`."""
        try:
            port = self._security.listen(self._server, address)
        except RuntimeError as error:
            raise Unavailable(
                f"The node cannot serve streams on {address}, which is in use or not this machine's; give another [compute] stream_listen."
            ) from error
        return Address(address.host, port)

    async def serve(self, live: NodeLive) -> None:
        """Begin."""
        self._server.add_generic_rpc_handlers((self._handlers(Calls(live, self.admission)),))
        await self._server.start()

    async def stop(self) -> None:
        """Stop listening and end all streams, telling their clients why."""
        self._stopping = True
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=_STOP_SECONDS)
        await self._server.stop(grace=0)

    def _handlers(self, calls: Calls) -> grpc.GenericRpcHandler:
        streams = grpc.unary_stream_rpc_method_handler
        short = grpc.unary_unary_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            protocol.SERVICE,
            {
                protocol.LOGS: streams(self._guarded(calls.logs)),
                protocol.SESSION: grpc.stream_stream_rpc_method_handler(self._guarded(calls.session)),
                protocol.PORT_FORWARD: grpc.stream_stream_rpc_method_handler(self._guarded(calls.port_forward)),
                protocol.GET_ARCHIVE: streams(self._guarded(calls.get_archive)),
                protocol.PUT_ARCHIVE: grpc.stream_unary_rpc_method_handler(self._guarded(calls.put_archive)),
                protocol.EXEC_CREATE: short(self._guarded(calls.exec_create)),
                protocol.RESIZE: short(self._guarded(calls.resize)),
                protocol.TOP: short(self._guarded(calls.top)),
                protocol.STATS: short(self._guarded(calls.stats)),
                protocol.SEARCH_IMAGES: short(self._guarded(calls.search_images)),
                protocol.DESCRIBE: short(self._guarded(calls.describe)),
            },
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def run(request: Any, context: grpc.aio.ServicerContext) -> Any:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            self._running.add(task)
            try:
                return await self._served(handler, request, context)
            finally:
                self._running.discard(task)

        return run

    async def _served(self, handler: Handler, request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            self._security.check(context)
            if self._stopping:
                raise self._leaving()
            with self._around(_metadata(context)):
                return await handler(request, context)
        except Stranger as stranger:
            self._strangers.seen(context.peer(), str(stranger))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not a certificate of the control plane")
        except ZunError as error:
            await failures.end(context, error)
        except asyncio.CancelledError:
            if not self._stopping or context.cancelled():
                raise
            await failures.end(context, self._leaving())

    def _leaving(self) -> Unavailable:
        return Unavailable(f"Node {self._node} restarts or stops; try again in a moment.")


def _metadata(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """What the caller told of the request, as text."""
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
