# SPDX-License-Identifier: Apache-2.0
"""etcd's protocol as an attacker speaks it: below our client, in any shape."""

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message

from zun.store.etcd import auth_pb2 as auth
from zun.store.etcd import messages
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import Compare, Op

OPEN = b"\x00"
"""As the end of a range: there is none."""


class Raw:
    """etcd's calls over somebody's connection."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    def unary(self, name: str, request: Message, response: type[Message]) -> Awaitable[Message]:
        call = self.channel.unary_unary(
            f"/etcdserverpb.{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        answer: Awaitable[Message] = call(request, timeout=10)
        return answer

    def send(self, name: str, request: bytes = b"") -> Awaitable[bytes]:
        """A call that our client does not know, as its bytes."""
        answer: Awaitable[bytes] = self.channel.unary_unary(f"/{name}")(request, timeout=10)
        return answer

    async def range(self, key: bytes, end: bytes = b"", **fields: int) -> pb.RangeResponse:
        answer = await self.unary("KV/Range", pb.RangeRequest(key=key, range_end=end, **fields), pb.RangeResponse)
        assert isinstance(answer, pb.RangeResponse)
        return answer

    async def txn(self, compares: list[Compare], success: list[Op], failure: list[Op] | None = None) -> pb.TxnResponse:
        request = messages.transaction(compares, success, failure or [])
        answer = await self.unary("KV/Txn", request, pb.TxnResponse)
        assert isinstance(answer, pb.TxnResponse)
        return answer

    async def grant(self) -> int:
        answer = await self.unary("Lease/LeaseGrant", pb.LeaseGrantRequest(TTL=600), pb.LeaseGrantResponse)
        assert isinstance(answer, pb.LeaseGrantResponse)
        return answer.ID

    async def revoke(self, lease: int) -> None:
        await self.unary("Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=lease), pb.LeaseRevokeResponse)

    async def keep_alive(self, lease: int) -> int:
        stream = self.channel.stream_stream(
            "/etcdserverpb.Lease/LeaseKeepAlive",
            request_serializer=pb.LeaseKeepAliveRequest.SerializeToString,
            response_deserializer=pb.LeaseKeepAliveResponse.FromString,
        )(timeout=10)
        await stream.write(pb.LeaseKeepAliveRequest(ID=lease))
        answer = await stream.read()
        stream.cancel()
        assert lease == answer.ID
        seconds: int = answer.TTL
        return seconds

    async def watch(self, begin: bytes, end: bytes) -> tuple[grpc.aio.StreamStreamCall, pb.WatchResponse]:
        stream = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )(timeout=30)
        await stream.write(pb.WatchRequest(create_request=pb.WatchCreateRequest(key=begin, range_end=end)))
        return stream, await stream.read()


async def refused(attempt: Awaitable[object]) -> None:
    """It is not permitted."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await attempt
    told = f"{refusal.value.code().name}: {refusal.value.details()}"
    assert any(words in told for words in _REFUSALS), told


async def watch_refused(node: Raw, begin: bytes, end: bytes) -> None:
    """It may not watch that: it is told so in an answer, or by the end of the stream."""
    try:
        stream, answer = await node.watch(begin, end)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.PERMISSION_DENIED:
            raise
        return
    stream.cancel()
    assert answer.canceled


_REFUSALS = ("permission denied", "user not found", "user name not found", "requested lease not found")


ADMINISTRATION: dict[str, Callable[[Raw], Awaitable[object]]] = {
    "see users": lambda node: node.unary("Auth/UserList", auth.UserListRequest(), auth.UserListResponse),
    "see another": lambda node: node.unary(
        "Auth/UserGet", auth.UserGetRequest(name="zun-control"), auth.UserGetResponse
    ),
    "see roles": lambda node: node.unary("Auth/RoleList", auth.RoleListRequest(), auth.RoleListResponse),
    "see another role": lambda node: node.unary("Auth/RoleGet", auth.RoleGetRequest(role="root"), auth.RoleGetResponse),
    "add a user": lambda node: node.unary("Auth/UserAdd", auth.UserAddRequest(name="evil"), auth.UserAddResponse),
    "remove a user": lambda node: node.unary(
        "Auth/UserDelete", auth.UserDeleteRequest(name="node-n10@00000001"), auth.UserDeleteResponse
    ),
    "become root": lambda node: node.unary(
        "Auth/UserGrantRole",
        auth.UserGrantRoleRequest(user="node-n1@00000001", role="root"),
        auth.UserGrantRoleResponse,
    ),
    "take another's role": lambda node: node.unary(
        "Auth/UserGrantRole",
        auth.UserGrantRoleRequest(user="node-n1@00000001", role="node-n10"),
        auth.UserGrantRoleResponse,
    ),
    "widen its role": lambda node: node.unary(
        "Auth/RoleGrantPermission",
        auth.RoleGrantPermissionRequest(name="node-n1", perm=auth.Permission(permType=2, key=b"/", range_end=b"0")),
        auth.RoleGrantPermissionResponse,
    ),
    "add a role": lambda node: node.unary("Auth/RoleAdd", auth.RoleAddRequest(name="evil"), auth.RoleAddResponse),
    "turn rights off": lambda node: node.send("etcdserverpb.Auth/AuthDisable"),
    "set a password": lambda node: node.send("etcdserverpb.Auth/UserChangePassword", b"\x0a\x04root\x12\x01x"),
    "add a member": lambda node: node.send("etcdserverpb.Cluster/MemberAdd", b"\x0a\x16https://127.0.0.1:9999"),
    "remove a member": lambda node: node.send("etcdserverpb.Cluster/MemberRemove", b"\x08\x01"),
    "move a member": lambda node: node.send("etcdserverpb.Cluster/MemberUpdate", b"\x08\x01\x12\x09http://x1"),
    "take a copy": lambda node: _first(node, "etcdserverpb.Maintenance/Snapshot"),
    "defragment": lambda node: node.send("etcdserverpb.Maintenance/Defragment"),
    "hash all": lambda node: node.send("etcdserverpb.Maintenance/Hash"),
    "lock elsewhere": lambda node: node.send("v3lockpb.Lock/Lock", b"\x0a\x0b/zun/v/lead"),
    "campaign": lambda node: node.send("v3electionpb.Election/Campaign", b"\x0a\x0b/zun/v/lead"),
    "see a leader": lambda node: node.send("v3electionpb.Election/Leader", b"\x0a\x0b/zun/v/lead"),
}


async def _first(node: Raw, name: str) -> object:
    stream = node.channel.unary_stream(f"/{name}")(b"", timeout=10)
    return await stream.read()


def nested(ops: list[Op]) -> bytes:
    """A transaction whose one operation is a transaction: TxnRequest.success = 2, RequestOp.request_txn = 4."""
    inner = messages.transaction([], ops, []).SerializeToString()
    operation = b"\x22" + varint(len(inner)) + inner
    return b"\x12" + varint(len(operation)) + operation


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
