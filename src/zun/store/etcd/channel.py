# SPDX-License-Identifier: Apache-2.0
"""The connection to etcd: how a channel is made, the calls that exist, and what their failures mean to us."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.model.errors import Denied, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError
from zun.store.etcd import rpc_pb2 as pb

CALL_SECONDS = 10.0

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),  # ranges are paged by keys, and a key may be large
    ("grpc.max_send_message_length", -1),  # etcd and `limits` say what is too large
    ("grpc.keepalive_time_ms", 10_000),  # a server that vanished without a word is noticed (etcd allows 5 s)
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 3_000),  # how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),
)

ChannelFactory = Callable[[str], grpc.aio.Channel]
Response = TypeVar("Response", bound=Message)


def insecure_channel(endpoint: str) -> grpc.aio.Channel:
    """A channel to `host:port` without encryption or credentials: for loopback only."""
    if endpoint.startswith("https://"):
        raise Unsupported(f"TLS to etcd ({endpoint}) is not supported yet; use an endpoint on this machine.")
    return grpc.aio.insecure_channel(endpoint.removeprefix("http://"), options=OPTIONS)


class Stream(Protocol):
    """What is used of a two-way gRPC stream."""

    async def write(self, message: Message) -> None:
        """Send."""

    async def read(self) -> Any:
        """Receive; `grpc.aio.EOF` at the end."""

    def cancel(self) -> bool:
        """End it."""


class Calls:
    """Every remote call the store makes, by name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.range = _unary(channel, "KV/Range", pb.RangeRequest, pb.RangeResponse)
        self.txn = _unary(channel, "KV/Txn", pb.TxnRequest, pb.TxnResponse)
        self.compact = _unary(channel, "KV/Compact", pb.CompactionRequest, pb.CompactionResponse)
        self.grant = _unary(channel, "Lease/LeaseGrant", pb.LeaseGrantRequest, pb.LeaseGrantResponse)
        self.revoke = _unary(channel, "Lease/LeaseRevoke", pb.LeaseRevokeRequest, pb.LeaseRevokeResponse)
        self.status = _unary(channel, "Maintenance/Status", pb.StatusRequest, pb.StatusResponse)
        self.keep_alive: Callable[..., Stream] = _stream(
            channel, "Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse
        )
        self.watch: Callable[..., Stream] = _stream(channel, "Watch/Watch", pb.WatchRequest, pb.WatchResponse)


class CompactedAway(Exception):
    """etcd says that the revision was compacted, but not which one is the oldest still there."""


def meaning(error: grpc.aio.AioRpcError, *, writing: bool = False) -> ZunError | CompactedAway:
    """What a failed call means to the caller. A write that may have happened is a `Timeout`, whatever broke."""
    code, details = error.code(), error.details() or "no details"
    if code is grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        return CompactedAway()
    kind = _KINDS.get(code, Internal)
    if kind is Unavailable and writing and not _never_sent(code, details):
        kind = Timeout
    return kind(f"etcd: {details} ({code.name}); {_ADVICE[kind]}")


_KINDS: dict[grpc.StatusCode, type[ZunError]] = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Unavailable,
    grpc.StatusCode.INTERNAL: Unavailable,  # what grpc calls a connection that ends while a stream begins on it
    grpc.StatusCode.DEADLINE_EXCEEDED: Timeout,
    grpc.StatusCode.OUT_OF_RANGE: Invalid,
    grpc.StatusCode.INVALID_ARGUMENT: Invalid,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.PERMISSION_DENIED: Denied,
    grpc.StatusCode.UNAUTHENTICATED: Denied,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
}
_ADVICE: dict[type[ZunError], str] = {
    Unavailable: "check that it runs and has disk space, then try again.",
    Timeout: "it may or may not have happened: read again before you repeat it.",
    Invalid: "change the request.",
    NotFound: "it may have ended; begin anew.",
    Denied: "check the role of this client in etcd.",
    Unsupported: "use etcd 3.4 or newer.",
    Internal: "look at its log and report this.",
}


def _never_sent(code: grpc.StatusCode, details: str) -> bool:
    """Whether a failure proves that etcd did nothing: no connection, no leader, or refused for want of space."""
    return (
        code is grpc.StatusCode.RESOURCE_EXHAUSTED or "failed to connect" in details.lower() or "no leader" in details
    )


def _unary(channel: grpc.aio.Channel, name: str, request: type[Message], response: type[Response]) -> Any:
    return channel.unary_unary(
        f"/etcdserverpb.{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )


def _stream(channel: grpc.aio.Channel, name: str, request: type[Message], response: type[Response]) -> Any:
    return channel.stream_stream(
        f"/etcdserverpb.{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
