# SPDX-License-Identifier: Apache-2.0
"""Nodes as operators see them: hosts with what is used of them, services with their switches, zones.

A node is registered once (`node_registration`); what operators say of it (enabled, forced down, zone) is kept apart from what it says of itself.
"""

from collections.abc import Awaitable, Callable

import msgspec

from zun.base.clock import Clock
from zun.base.ids import canonical_uuid
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, NotFound, Timeout, Unavailable
from zun.model.records import Claim, NodeInfo, NodeRecord
from zun.policy.enforcer import Policy
from zun.services.account_keeping import AccountKeeper
from zun.services.node_overview import no_node
from zun.services.optimistic import Current, OptimisticWriter, Write
from zun.store import keys
from zun.store.interface import Delete, DeletePrefix, absent
from zun.store.view import NodeEntry, View

BINARY = "zun-compute"
"""The one kind of service that clients see."""

DEFAULT_ZONE = "nova"


class Host(msgspec.Struct, frozen=True):
    """A node with what containers take of it."""

    info: NodeInfo
    record: NodeRecord
    alive: bool
    cpu_used: float  # cores
    memory_used_mib: int
    disk_used_gib: int
    total_containers: int

    @property
    def pins_cpus(self) -> bool:
        """Whether containers may have cpus of their own there."""
        return bool(self.info.dedicated_cpus)


class ComputeService(msgspec.Struct, frozen=True):
    """A node as a service: its switches and whether it works. `last_seen_up` is None before its first report."""

    record: NodeRecord
    up: bool
    last_seen_up: float | None
    report_count: int
    binary: str = BINARY


class NodeService:
    """Looks at nodes and switches them."""

    def __init__(
        self,
        view: View,
        policy: Policy,
        writer: OptimisticWriter,
        clock: Clock,
        *,
        keeper: AccountKeeper | None = None,
    ) -> None:
        """`keeper`: where nodes have accounts of their own in the store."""
        self._keeper = keeper
        self._view = view
        self._policy = policy
        self._writer = writer
        self._clock = clock

    async def hosts(self, ctx: RequestContext) -> list[Host]:
        """All nodes that ever reported, by name."""
        self._policy.authorize(ctx.caller, "host:get_all")
        await self._view.fresh()
        return [self._host(node.info, node.record, node) for node in self._view.nodes() if node.info and node.record]

    async def host(self, ctx: RequestContext, ident: str) -> Host:
        """One node by name or uuid. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "host:get")
        await self._view.fresh()
        node = find_node(self._view, ident)
        if node is None or node.info is None or node.record is None:
            raise NotFound(
                f"There is no host {ident}; list the hosts to see their names.", code="compute-node-not-found"
            )
        return self._host(node.info, node.record, node)

    async def services(self, ctx: RequestContext) -> list[ComputeService]:
        """All registered nodes as services, by id."""
        self._policy.authorize(ctx.caller, "zun-service:get_all")
        await self._view.fresh()
        found = [_service(node.record, node) for node in self._view.nodes() if node.record is not None]
        return sorted(found, key=lambda service: service.record.number)

    async def zones(self, ctx: RequestContext) -> list[str]:
        """The zones that have a node, by name. Everybody with a role in a project may ask."""
        self._policy.authorize(ctx.caller, "availability_zones:get_all", project_id=ctx.caller.project_id)
        await self._view.fresh()
        return sorted({node.record.zone or DEFAULT_ZONE for node in self._view.nodes() if node.record is not None})

    async def enable(self, ctx: RequestContext, host: str, binary: str) -> NodeRecord:
        """Let the node get containers again. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "zun-service:enable")

        def switch(record: NodeRecord) -> None:
            record.disabled = False
            record.disabled_reason = None

        return await self._switch(host, binary, switch)

    async def disable(self, ctx: RequestContext, host: str, binary: str, reason: str | None = None) -> NodeRecord:
        """Give the node no new containers; those it has run on. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "zun-service:disable")

        def switch(record: NodeRecord) -> None:
            record.disabled = True
            record.disabled_reason = reason

        return await self._switch(host, binary, switch)

    async def force_down(self, ctx: RequestContext, host: str, binary: str, *, forced_down: bool) -> NodeRecord:
        """Take the node for dead whatever it says, or stop doing so. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "zun-service:force_down")

        def switch(record: NodeRecord) -> None:
            record.forced_down = forced_down

        return await self._switch(host, binary, switch)

    async def drain(self, ctx: RequestContext, name: str) -> NodeRecord:
        """Give the node no new containers, and let those that can leave it. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "node:drain")
        return await self._set_draining(name, draining=True)

    async def undrain(self, ctx: RequestContext, name: str) -> NodeRecord:
        """Let containers come again; what is on its way elsewhere goes there. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "node:undrain")
        return await self._set_draining(name, draining=False)

    async def delete(self, ctx: RequestContext, host: str, binary: str) -> None:
        """Forget a node. Raises `NotFound`, and `Conflict` while containers or images are placed on it.

        A node with an account loses it, for good: to come back, its machine needs a new token. One without (in the control plane's own
        process) that still works comes back when its agent starts again. Of a dead one everything it wrote goes, and should it ever
        return, it removes what it has of ours.
        """
        self._policy.authorize(ctx.caller, "zun-service:delete")

        async def forget() -> Write[str]:
            current, record = await self._registered(host, binary)
            self._refuse_while_used(host)
            ops: list[Delete | DeletePrefix] = [Delete(current.key)]
            compares = [current.unchanged()]
            node = self._view.node(host)
            if node is None or node.gone:
                ops += [DeletePrefix(keys.node_prefix(host)), DeletePrefix(keys.inbox_prefix(host))]
                compares.append(absent(keys.node_alive(host)))
            return Write(result=record.user, compares=compares, ops=ops)

        user = await self._writer.write(f"the service on {host}", forget)
        if user and self._keeper is not None:
            await self._lock_out(host, self._keeper)

    async def _lock_out(self, host: str, keeper: AccountKeeper) -> None:
        """Take the account away, and then what the machine wrote until that moment. Should this fail, the leader takes the account."""
        try:
            if await keeper.settle(host) is None:
                await self._writer.write(f"what {host} left", self._clear(host))
        except (Unavailable, Timeout) as error:
            raise Unavailable(
                f"Node {host} is removed, but its account in the store is not yet; that follows within a minute after the store is back."
            ) from error

    def _clear(self, host: str) -> Callable[[], Awaitable[Write[None]]]:
        async def clear() -> Write[None]:
            current = await self._writer.current(NodeRecord, keys.node(host))
            if current.record is not None:  # it joined anew meanwhile
                return Write(result=None, compares=[], ops=[])
            prefixes = [DeletePrefix(keys.node_prefix(host)), DeletePrefix(keys.inbox_prefix(host))]
            return Write(result=None, compares=[current.unchanged()], ops=prefixes)

        return clear

    async def _set_draining(self, name: str, *, draining: bool) -> NodeRecord:
        await self._view.fresh()
        node = self._view.node(name)
        if node is None or node.record is None:
            raise no_node(name)

        def switch(record: NodeRecord) -> None:
            record.draining = draining

        return await self._switch(name, BINARY, switch)

    async def _switch(self, host: str, binary: str, switch: Callable[[NodeRecord], None]) -> NodeRecord:
        async def change() -> Write[NodeRecord]:
            current, record = await self._registered(host, binary)
            switch(record)
            record.updated_at = self._clock.now()
            return Write(result=record, compares=[current.unchanged()], ops=[current.put(record)])

        return await self._writer.write(f"the service on {host}", change)

    async def _registered(self, host: str, binary: str) -> tuple[Current[NodeRecord], NodeRecord]:
        if binary != BINARY:
            raise _no_service(host, binary)
        current = await self._writer.current(NodeRecord, keys.node(host))
        if current.record is None:
            raise _no_service(host, binary)
        return current, current.record

    def _refuse_while_used(self, host: str) -> None:
        if next(iter(self._view.containers(node=host)), None) is not None:
            raise Conflict(f"There are still containers on {host}; delete them first.")
        if any(image.wish.node == host for image in self._view.images()):
            raise Conflict(f"There are still images on {host}; delete them first.")

    def _host(self, info: NodeInfo, record: NodeRecord, node: NodeEntry) -> Host:
        millicpus = memory = disk = total = 0
        for entry in self._view.containers(node=node.name):
            place = entry.place()
            claim = place.claim if place is not None else Claim()
            millicpus += claim.millicpus
            memory += claim.memory_mib
            disk += claim.disk_gib
            total += 1
        return Host(
            info=info,
            record=record,
            alive=node.alive and not record.forced_down,
            cpu_used=millicpus / 1000,
            memory_used_mib=memory,
            disk_used_gib=disk,
            total_containers=total,
        )


def find_node(view: View, ident: str) -> NodeEntry | None:
    """The node with that name, or else that uuid."""
    node = view.node(ident)
    if node is not None:
        return node
    uuid = canonical_uuid(ident)
    return next((n for n in view.nodes() if n.info is not None and n.info.uuid == uuid), None) if uuid else None


def _service(record: NodeRecord, node: NodeEntry) -> ComputeService:
    return ComputeService(
        record=record,
        up=node.alive and not record.forced_down,
        last_seen_up=node.info.at if node.info is not None else None,
        report_count=node.info.reports if node.info is not None else 0,
    )


def _no_service(host: str, binary: str) -> NotFound:
    return NotFound(
        f"There is no service {binary} on host {host}; list the services to see what there is.",
        code="zun-service-not-found",
    )
