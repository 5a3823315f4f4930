# SPDX-License-Identifier: Apache-2.0
"""Nodes: what state they are in, what is on them, and emptying them. For administrators; beyond the Zun v1 API."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.base.timestamps import iso
from zun.model.caller import RequestContext
from zun.services.node_overview import NodeDetail, NodeOverview, NodeSummary, OnNode
from zun.services.nodes import NodeService


class NodeHandlers:
    """`/v1/nodes`."""

    def __init__(self, overview: NodeOverview, nodes: NodeService) -> None:
        self._overview = overview
        self._nodes = nodes

    async def list(self, call: Call) -> Response:
        """All nodes, and whether containers of lost ones are moved."""
        found = await self._overview.list(call.context)
        return responses.json(
            {
                "nodes": [_summary(node) for node in found.nodes],
                "gone": found.gone,
                "counted": found.counted,
                "held_back": found.held_back,
            }
        )

    async def show(self, call: Call) -> Response:
        """One node with its containers."""
        return responses.json(_detail(await self._overview.show(call.context, call.params["name"])))

    async def drain(self, call: Call) -> Response:
        """Let the containers that can leave it; new ones do not come."""
        return await self._switch(call, self._nodes.drain)

    async def undrain(self, call: Call) -> Response:
        """Let containers come again."""
        return await self._switch(call, self._nodes.undrain)

    async def _switch(self, call: Call, switch: Callable[[RequestContext, str], Awaitable[object]]) -> Response:
        await switch(call.context, call.params["name"])
        return responses.json(_detail(await self._overview.show(call.context, call.params["name"])))


def _summary(node: NodeSummary) -> dict[str, Any]:
    record, info = node.record, node.info
    return {
        "name": record.node,
        "id": record.number,
        "state": str(node.state),
        "lost_at": iso(node.lost_at),
        "last_report_at": iso(info.at) if info is not None else None,
        "enabled": not record.disabled,
        "disabled_reason": record.disabled_reason,
        "forced_down": record.forced_down,
        "draining": record.draining,
        "availability_zone": record.zone,
        "engine": f"{info.engine} {info.engine_version}".strip() if info is not None else None,
        "containers": node.containers,
        "cpu_total": info.millicpus / 1000 if info is not None else None,
        "cpu_used": node.taken.millicpus / 1000,
        "memory_total": info.memory_mib if info is not None else None,
        "memory_used": node.taken.memory_mib,
        "disk_total": info.disk_gib if info is not None else None,
        "disk_used": node.taken.disk_gib,
        "created_at": iso(record.created_at),
        "updated_at": iso(record.updated_at),
    }


def _detail(node: NodeDetail) -> dict[str, Any]:
    return _summary(node.summary) | {
        "movable": [_container(one) for one in node.movable],
        "staying": [_container(one) for one in node.staying],
        "drained": node.drained,
    }


def _container(one: OnNode) -> dict[str, Any]:
    return msgspec.structs.asdict(one)
