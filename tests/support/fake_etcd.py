# SPDX-License-Identifier: Apache-2.0
"""A member of etcd that says what a test tells it to: for answers that a real one gives at rare moments only."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.store.etcd import rpc_pb2 as pb

CLUSTER = 0xC1


class FakeMember:
    """Answers reads and transactions at revision `revision`, unless `says` has something else to say first. `asked` counts calls.

    `before_answering`: what else happens while it is asked, a thing for each call.
    """

    def __init__(self, *, version: str = "3.4.23", cluster_id: int = CLUSTER, leader: int = 1) -> None:
        self.version = version
        self.cluster_id = cluster_id
        self.leader = leader
        self.revision = 10
        self.says: deque[tuple[grpc.StatusCode, str]] = deque()
        self.before_answering: deque[Callable[[], object]] = deque()
        self.asked: list[str] = []
        self.hangs = False
        self.transaction = pb.TxnRequest()
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; after a stop on the same port again."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        services: dict[str, dict[str, Any]] = {
            "Maintenance": {"Status": _handler(self._status, pb.StatusRequest, pb.StatusResponse)},
            "KV": {
                "Range": _handler(self._range, pb.RangeRequest, pb.RangeResponse),
                "Txn": _handler(self._txn, pb.TxnRequest, pb.TxnResponse),
            },
        }
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(f"etcdserverpb.{name}", calls) for name, calls in services.items()]
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """End all connections at once."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)

    async def _status(self, _: pb.StatusRequest, context: Any) -> pb.StatusResponse:
        await self._hang()
        return pb.StatusResponse(header=self._header(), version=self.version, leader=self.leader)

    async def _range(self, _: pb.RangeRequest, context: Any) -> pb.RangeResponse:
        await self._called("range", context)
        return pb.RangeResponse(header=self._header())

    async def _txn(self, request: pb.TxnRequest, context: Any) -> pb.TxnResponse:
        await self._called("txn", context)
        self.transaction = request
        self.revision += 1
        return pb.TxnResponse(header=self._header(), succeeded=True)

    async def _called(self, name: str, context: Any) -> None:
        self.asked.append(name)
        await self._hang()
        if self.before_answering:
            self.before_answering.popleft()()
        if self.says:
            code, details = self.says.popleft()
            await context.abort(code, details)

    async def _hang(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()

    def _header(self) -> pb.ResponseHeader:
        return pb.ResponseHeader(cluster_id=self.cluster_id, member_id=1, revision=self.revision)


@asynccontextmanager
async def fake_member(**fields: Any) -> AsyncIterator[FakeMember]:
    """A member that listens until the context ends."""
    member = FakeMember(**fields)
    await member.start()
    try:
        yield member
    finally:
        await member.stop()


def _handler(
    answer: Callable[[Any, Any], Awaitable[Message]], request: type[Message], response: type[Message]
) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )
