# SPDX-License-Identifier: Apache-2.0
"""Users and roles of etcd: the calls, made safe to repeat. Needs a client with the role `root` (or an etcd that checks nobody yet).

Users have no passwords: a client is who its certificate says. Each change raises the revision of etcd's rights, and what was under way
at that moment, of any client, is refused as old without being done; so nothing is changed that is right already.
"""

from collections.abc import Sequence
from typing import Any

import grpc.aio
from google.protobuf.message import Message

from zun.model import subjects
from zun.model.errors import ZunError
from zun.store.accounts import Access, Right, rights_of
from zun.store.etcd import auth_pb2 as pb
from zun.store.etcd.caller import Caller
from zun.store.keyrange import prefix_end

_ACCESS = {Access.READ: pb.Permission.READ, Access.READ_WRITE: pb.Permission.READWRITE}


class EtcdAuth:
    """etcd's users and roles. Every method may be repeated; raises `Unavailable`, `Timeout` or `Denied`."""

    def __init__(self, caller: Caller) -> None:
        """The caller's connections stay somebody else's, who closes them."""
        self._caller = caller

    async def enable(self) -> None:
        """From now on etcd checks everybody's rights; no effect when it does."""
        await self._call("auth_enable", pb.EnableRequest())

    async def users(self) -> list[str]:
        """Everybody."""
        found = await self._call("user_list", pb.UserListRequest())
        return list(found.users)

    async def roles_of(self, user: str) -> list[str] | None:
        """A user's roles; None: there is no such user."""
        found = await self._call("user_get", pb.UserGetRequest(name=user), but="user name not found")
        return None if found is None else list(found.roles)

    async def ensure_user(self, name: str, role: str) -> None:
        """The user exists, cannot log in by password, and has the role (and none that it did not have)."""
        roles = await self.roles_of(name)
        if roles is None:
            add = pb.UserAddRequest(name=name, options=pb.UserAddOptions(no_password=True))
            await self._call("user_add", add, but="user name already exists")
        if roles is None or role not in roles:
            grant = pb.UserGrantRoleRequest(user=name, role=role)
            await self._call("user_grant_role", grant)

    async def ensure_role(self, name: str, rights: Sequence[Right]) -> None:
        """The role exists with exactly these rights."""
        found = await self._call("role_get", pb.RoleGetRequest(role=name), but="role name not found")
        if found is None:
            await self._call("role_add", pb.RoleAddRequest(name=name), but="role name already exists")
        wanted = {_permission(right) for right in rights}
        has = {(one.permType, one.key, one.range_end) for one in found.perm} if found is not None else set()
        for _, key, end in has - wanted:
            revoke = pb.RoleRevokePermissionRequest(role=name, key=key, range_end=end)
            await self._call("role_revoke", revoke, but="permission is not granted")
        for kind, key, end in wanted - has:
            permission = pb.Permission(permType=kind, key=key, range_end=end)
            grant = pb.RoleGrantPermissionRequest(name=name, perm=permission)
            await self._call("role_grant", grant)

    async def drop_user(self, name: str) -> None:
        """There is no such user any more."""
        await self._call("user_delete", pb.UserDeleteRequest(name=name), but="user name not found")

    async def drop_role(self, name: str) -> None:
        """There is no such role any more; users that had it have it no more."""
        await self._call("role_delete", pb.RoleDeleteRequest(role=name), but="role name not found")

    async def _call(self, name: str, request: Message, *, but: str = "") -> Any:
        """The answer, or None when etcd refuses with the words `but`: it is so already. In doubt it is done again, which is no harm."""
        try:
            return await self._caller.call(name, request)
        except ZunError as error:
            if but and but in _words(error):
                return None
            raise


class EtcdAccounts:
    """Accounts of nodes (see `zun.store.accounts`) as users and roles of etcd."""

    def __init__(self, auth: EtcdAuth) -> None:
        self._auth = auth

    async def give(self, node: str, user: str) -> None:
        """Others of the node lose their rights first, so that at no time two machines are the node."""
        for other in await self.users():
            if other != user and subjects.node_of_user(other) == node:
                await self._auth.drop_user(other)
        role = subjects.node_host(node)
        await self._auth.ensure_role(role, rights_of(node))
        await self._auth.ensure_user(user, role)

    async def take_all(self, node: str) -> None:
        """The role first: with it everybody's rights end at once."""
        await self._auth.drop_role(subjects.node_host(node))
        for user in await self.users():
            if subjects.node_of_user(user) == node:
                await self._auth.drop_user(user)

    async def users(self) -> list[str]:
        """Those whose name is a node's user's."""
        return [user for user in await self._auth.users() if subjects.node_of_user(user) is not None]


async def enable_users(auth: EtcdAuth) -> None:
    """Make etcd check rights: `zun-control` (the control plane) may do everything, others only what is given to them.

    The user `root` must exist for that; it has no password and there is no certificate for it.
    """
    for user in (subjects.ROOT, subjects.CONTROL):
        await auth.ensure_user(user, subjects.ROOT)
    await auth.enable()


def _permission(right: Right) -> tuple[pb.Permission.Type, bytes, bytes]:
    key = right.prefix.encode()
    if right.single:
        return _ACCESS[right.access], key, b""
    return _ACCESS[right.access], key, prefix_end(key) or b"\x00"


def _words(error: ZunError) -> str:
    """What etcd said."""
    cause = error.__cause__
    return (cause.details() or "") if isinstance(cause, grpc.aio.AioRpcError) else ""
