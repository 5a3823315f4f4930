# SPDX-License-Identifier: Apache-2.0
"""gRPC to one etcd member: how a channel is made, and the calls that exist."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.store.etcd import auth_pb2 as auth
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.address import Address
from zun.store.etcd.tls import Credentials

REQUIRE_LEADER = (("hasleader", "true"),)
"""Asks a member to refuse a call, or end a stream, while it knows no leader, instead of keeping it waiting.

See `MetadataRequireLeaderKey` in etcd's `api/v3rpc/rpctypes`; clients know it as `WithRequireLeader`.
"""

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),  # ranges are paged by keys, and a key may be large
    ("grpc.max_send_message_length", -1),  # etcd and `limits` say what is too large
    # Ends what is left on a connection that vanished without a word, when gRPC got no answer for a minute
    # (`grpc.http2.ping_timeout_ms`). A member that hangs is left within seconds, because `members` asks it.
    ("grpc.keepalive_time_ms", 10_000),  # etcd allows 5 s
    ("grpc.http2.max_pings_without_data", 0),  # also when only a quiet watch uses it
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, with the certificates of now
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # what is tried again, and where, is decided in one place (`caller`)
)

Response = TypeVar("Response", bound=Message)


def open_channel(address: Address, credentials: Credentials | None) -> grpc.aio.Channel:
    """A channel to a member, not connected yet; None is plain TCP."""
    if credentials is None:
        return grpc.aio.insecure_channel(str(address), options=_OPTIONS)
    tls = grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.cert)
    return grpc.aio.secure_channel(str(address), tls, options=_OPTIONS)


class Stream(Protocol):
    """What is used of a two-way gRPC stream."""

    async def write(self, message: Message) -> None:
        """Send."""

    async def read(self) -> Any:
        """Receive; `grpc.aio.EOF` at the end."""

    def cancel(self) -> bool:
        """End it."""

    def done(self) -> bool:
        """Whether it has ended."""


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
        self.auth_enable = _unary(channel, "Auth/AuthEnable", auth.EnableRequest, auth.EnableResponse)
        self.user_list = _unary(channel, "Auth/UserList", auth.UserListRequest, auth.UserListResponse)
        self.user_get = _unary(channel, "Auth/UserGet", auth.UserGetRequest, auth.UserGetResponse)
        self.user_add = _unary(channel, "Auth/UserAdd", auth.UserAddRequest, auth.UserAddResponse)
        self.user_delete = _unary(channel, "Auth/UserDelete", auth.UserDeleteRequest, auth.UserDeleteResponse)
        self.user_grant_role = _unary(
            channel, "Auth/UserGrantRole", auth.UserGrantRoleRequest, auth.UserGrantRoleResponse
        )
        self.role_get = _unary(channel, "Auth/RoleGet", auth.RoleGetRequest, auth.RoleGetResponse)
        self.role_add = _unary(channel, "Auth/RoleAdd", auth.RoleAddRequest, auth.RoleAddResponse)
        self.role_delete = _unary(channel, "Auth/RoleDelete", auth.RoleDeleteRequest, auth.RoleDeleteResponse)
        self.role_grant = _unary(
            channel, "Auth/RoleGrantPermission", auth.RoleGrantPermissionRequest, auth.RoleGrantPermissionResponse
        )
        self.role_revoke = _unary(
            channel, "Auth/RoleRevokePermission", auth.RoleRevokePermissionRequest, auth.RoleRevokePermissionResponse
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
