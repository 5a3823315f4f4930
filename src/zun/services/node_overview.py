# SPDX-License-Identifier: Apache-2.0
"""Nodes as whoever looks after them sees them: what state each is in, what would leave it and what would stay, and whether anything moves at all."""

from enum import StrEnum

import msgspec

from zun.model.caller import RequestContext
from zun.model.errors import Internal, NotFound
from zun.model.moving import stays, too_many_gone
from zun.model.records import Claim, NodeInfo, NodeRecord
from zun.policy.enforcer import Policy
from zun.store.view import ContainerEntry, NodeEntry, View


class NodeState(StrEnum):
    """How a node is."""

    UP = "up"
    RESTARTING = "restarting"  # its agent announced that it comes back in a moment
    LOST = "lost"
    FORCED_DOWN = "forced down"
    NEW = "new"  # registered, never heard of


class NodeSummary(msgspec.Struct, frozen=True):
    """One node. `lost_at` is when this API server saw its heartbeat vanish, if it did; `taken` is what containers take of it."""

    record: NodeRecord
    info: NodeInfo | None
    state: NodeState
    lost_at: float | None
    containers: int
    taken: Claim


class OnNode(msgspec.Struct, frozen=True):
    """A container on a node, with why it stays there (of one that stays) or why it is still there (of one that is to leave and cannot)."""

    uuid: str
    name: str
    project_id: str
    reason: str | None = None


class NodeDetail(msgspec.Struct, frozen=True):
    """A node with its containers: those that leave it when it is drained, lost or declared down, and those that stay whatever happens."""

    summary: NodeSummary
    movable: list[OnNode]
    staying: list[OnNode]

    @property
    def drained(self) -> bool:
        """Whether it is being drained and all that can leave has left."""
        return self.summary.record.draining and not self.movable


class NodeList(msgspec.Struct, frozen=True):
    """All nodes; `gone` of `counted` (those registered and not forced down) do not report."""

    nodes: list[NodeSummary]
    gone: int
    counted: int

    @property
    def held_back(self) -> bool:
        """Whether so many are gone that nothing is moved."""
        return too_many_gone(self.gone, self.counted)


class NodeOverview:
    """Looks at nodes."""

    def __init__(self, view: View, policy: Policy) -> None:
        self._view = view
        self._policy = policy

    async def list(self, ctx: RequestContext) -> NodeList:
        """All registered nodes, by name."""
        self._policy.authorize(ctx.caller, "node:get_all")
        await self._view.fresh()
        nodes = [_summary(node, node.record, self._view) for node in self._view.nodes() if node.record is not None]
        return NodeList(nodes, *self._view.gone_nodes())

    async def show(self, ctx: RequestContext, name: str) -> NodeDetail:
        """One node with its containers. Raises `NotFound`."""
        self._policy.authorize(ctx.caller, "node:get")
        await self._view.fresh()
        return self._detail(name)

    def _detail(self, name: str) -> NodeDetail:
        node = self._view.node(name)
        if node is None or node.record is None:
            raise no_node(name)
        movable: list[OnNode] = []
        staying: list[OnNode] = []
        for entry in self._view.containers(node=name):
            try:
                _sort_in(entry, movable, staying)
            except Internal as error:
                staying.append(OnNode(entry.uuid, entry.name, entry.project_id, error.message))
        return NodeDetail(_summary(node, node.record, self._view), movable, staying)


def no_node(name: str) -> NotFound:
    """The refusal of a node that nobody registered."""
    return NotFound(f"There is no node {name}; list the nodes to see their names.", code="node-not-found")


def _sort_in(entry: ContainerEntry, movable: list[OnNode], staying: list[OnNode]) -> None:
    why = stays(entry.record().spec)
    place = entry.place()
    failure = place.failure.detail if place is not None and place.failure is not None else None
    found = OnNode(entry.uuid, entry.name, entry.project_id, why if why is not None else failure)
    (movable if why is None else staying).append(found)


def _summary(node: NodeEntry, record: NodeRecord, view: View) -> NodeSummary:
    entries = list(view.containers(node=node.name))
    places = [place for entry in entries if (place := entry.place()) is not None]
    taken = Claim(
        millicpus=sum(place.claim.millicpus for place in places),
        memory_mib=sum(place.claim.memory_mib for place in places),
        disk_gib=sum(place.claim.disk_gib for place in places),
    )
    return NodeSummary(
        record=record,
        info=node.info,
        state=_state(node, record),
        lost_at=node.lost_at,
        containers=len(entries),
        taken=taken,
    )


def _state(node: NodeEntry, record: NodeRecord) -> NodeState:
    if record.forced_down:
        return NodeState.FORCED_DOWN
    if node.gone:
        return NodeState.LOST if node.info is not None else NodeState.NEW
    return NodeState.RESTARTING if node.restarting else NodeState.UP
