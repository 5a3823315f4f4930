# SPDX-License-Identifier: Apache-2.0
"""Networks of the control plane: made and removed by administrators, seen by the projects whose containers may be on them."""

import re

import msgspec

from zun.base.clock import Clock
from zun.base.ids import canonical_uuid, new_uuid
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, Invalid, NotFound
from zun.model.networks import DEFAULT_MTU, NetworkRecord, Subnet, check_record
from zun.model.records import NameClaim
from zun.policy.enforcer import Policy
from zun.services.optimistic import OptimisticWriter, Write
from zun.services.own_networks import usable
from zun.services.requirements import known_nodes
from zun.store import codec, keys
from zun.store.interface import Delete, Put, Store, absent
from zun.store.view import View

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")


class NewNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A network to be made: for every project when `shared`, else for `project_id` (None: the caller's)."""

    name: str
    subnets: tuple[Subnet, ...]
    mtu: int = DEFAULT_MTU
    shared: bool = False
    project_id: str | None = None


class NetworkService:
    """Makes, shows and removes them."""

    def __init__(self, store: Store, view: View, policy: Policy, writer: OptimisticWriter, clock: Clock) -> None:
        self._store = store
        self._view = view
        self._policy = policy
        self._writer = writer
        self._clock = clock

    async def create(self, ctx: RequestContext, new: NewNetwork) -> NetworkRecord:
        """Make one. Raises `Invalid` for one that cannot be beside the others, `Conflict` for a name that is taken."""
        self._policy.authorize(ctx.caller, "network:create")
        if not _NAME.fullmatch(new.name) or canonical_uuid(new.name) is not None:
            raise Invalid(
                f"{new.name!r} is no name of a network; take letters, digits, '_', '.' and '-', beginning with a letter or digit."
            )
        record = NetworkRecord(
            uuid=new_uuid(),
            name=new.name,
            project_id=new.project_id or ctx.caller.project_id,
            user_id=ctx.caller.user_id,
            created_at=self._clock.now(),
            subnets=new.subnets,
            mtu=new.mtu,
            shared=new.shared,
        )
        key = keys.network(new.name)

        async def make() -> Write[NetworkRecord]:
            # Read before the view is, and compared: no other network came in between whose subnets are these.
            turn = await self._writer.current(NameClaim, keys.NETWORKS_TURN)
            await self._view.fresh()
            self._refuse_taken(new.name)
            check_record(record, self._view.networks())
            ops = [Put(key, codec.encode(record)), turn.put(NameClaim(record.uuid))]
            return Write(result=record, compares=[absent(key), turn.unchanged()], ops=ops)

        return await self._writer.write(f"network {new.name}", make)

    async def list(self, ctx: RequestContext) -> "list[NetworkRecord]":
        """Those that the caller's containers may be on, all of them for administrators; oldest first."""
        self._policy.authorize(ctx.caller, "network:get_all", project_id=ctx.caller.project_id)
        await self._view.fresh()
        everything = self._view.networks()
        return [one for one in everything if ctx.caller.is_admin or one.is_for(ctx.caller.project_id)]

    async def show(self, ctx: RequestContext, ident: str) -> NetworkRecord:
        """One by name or uuid. Raises `NotFound`, also for one that is not the caller's business."""
        self._policy.authorize(ctx.caller, "network:get_one", project_id=ctx.caller.project_id)
        await self._view.fresh()
        found = usable(self._view, None if ctx.caller.is_admin else ctx.caller.project_id, ident)
        if found is None:
            raise no_network(ident)
        return found

    async def delete(self, ctx: RequestContext, ident: str) -> None:
        """Remove one. Raises `Conflict` while a container has an address on it.

        It is closed first: what is placed at the same time is placed before, and then its address is found, or not at all.
        """
        self._policy.authorize(ctx.caller, "network:delete")
        await self._view.fresh()
        found = usable(self._view, None, ident)
        if found is None:
            raise no_network(ident)
        key, what = keys.network(found.name), f"network {found.name}"

        async def close() -> Write[None]:
            current = await self._writer.current(NetworkRecord, key)
            record = current.record
            if record is None or record.uuid != found.uuid:
                raise no_network(ident)
            if record.closing:
                return Write(result=None, compares=[], ops=[])
            record.closing = True
            return Write(result=None, compares=[current.unchanged()], ops=[current.put(record)])

        async def remove() -> Write[str]:
            current = await self._writer.current(NetworkRecord, key)
            record = current.record
            if record is None or record.uuid != found.uuid:
                return Write(result="", compares=[], ops=[])
            if not record.closing:
                raise Conflict(f"Somebody else tried to remove network {found.name} at the same time; try again.")
            claims = await self._store.range(keys.addresses_of(found.uuid), limit=1)
            if not claims.items:
                return Write(result="", compares=[current.unchanged()], ops=[Delete(key)])
            record.closing = False
            holder = codec.decode(NameClaim, claims.items[0].value).uuid
            return Write(result=holder, compares=[current.unchanged()], ops=[current.put(record)])

        await self._writer.write(what, close)
        holder = await self._writer.write(what, remove)
        if holder:
            raise Conflict(f"Container {holder} is on network {found.name}; delete what is on it first.")

    def _refuse_taken(self, name: str) -> None:
        if self._view.network(name) is not None:
            raise Conflict(f"There is a network {name} already; take another name.")
        for node in known_nodes(self._view):
            if any(network.name == name for network in node.networks):
                raise Conflict(f"The engine of host {node.node} has a network {name}; take another name.")


def no_network(ident: str) -> NotFound:
    """The refusal of a network that is not there, or not for the caller."""
    return NotFound(f"Network {ident} could not be found; list the networks to see yours.", code="network-not-found")
