# SPDX-License-Identifier: Apache-2.0
"""Hosts: the nodes with what they have and what containers take of it. For administrators."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from zun.api import paging, responses
from zun.api.paging import Order, PageQuery
from zun.api.rendering import links
from zun.api.requests import Call
from zun.model.errors import NotFound
from zun.services.nodes import Host, NodeService

COLLECTION = "hosts"


class HostHandlers:
    """`/v1/hosts` and `/v1/hosts/{ident}`."""

    def __init__(self, nodes: NodeService) -> None:
        self._nodes = nodes

    async def list(self, call: Call) -> Response:
        """A page of hosts."""
        query = call.query_arguments(PageQuery, code="invalid-value")
        hosts = await self._nodes.hosts(call.context)
        marker = None
        if query.marker is not None:
            marker = next((host for host in hosts if host.info.uuid == query.marker), None)
            if marker is None:
                raise NotFound(
                    f"The marker {query.marker} is no host; begin again without it.", code="compute-node-not-found"
                )
        page = paging.select(hosts, query, _ORDER, call.max_limit, marker)
        link = paging.next_link(
            page,
            last=page.items[-1].info.uuid if page.items else "",
            url=f"{call.base_url}/v1/{COLLECTION}",
            query=call.query,
            default_key=_ORDER.default,
        )
        return responses.json({COLLECTION: [_view(host, call.base_url) for host in page.items], "next": link})

    async def show(self, call: Call) -> Response:
        """One host by name or uuid."""
        return responses.json(_view(await self._nodes.host(call.context, call.params["ident"]), call.base_url))


_COLUMNS: dict[str, Callable[[Host], Any]] = {
    "uuid": lambda host: host.info.uuid,
    "hostname": lambda host: host.info.node,
    "mem_total": lambda host: host.info.memory_total_mib,
    "mem_used": lambda host: host.memory_used_mib,
    "cpus": lambda host: host.info.cpus,
    "cpu_used": lambda host: host.cpu_used,
    "disk_total": lambda host: host.info.disk_total_gib,
    "disk_used": lambda host: host.disk_used_gib,
    "total_containers": lambda host: host.total_containers,
    "architecture": lambda host: host.info.architecture,
    "os_type": lambda host: host.info.os_type,
    "os": lambda host: host.info.os,
    "kernel_version": lambda host: host.info.kernel_version,
    "labels": lambda host: host.info.labels,
    "runtimes": lambda host: host.info.runtimes,
    "disk_quota_supported": lambda host: host.info.disk_quota_supported,
    "enable_cpu_pinning": lambda host: host.pins_cpus,
}
_ORDER: Order[Host] = Order(_COLUMNS, lambda host: (host.info.node,), default="hostname")


def _view(host: Host, base_url: str) -> dict[str, Any]:
    view: dict[str, Any] = {name: read(host) for name, read in _COLUMNS.items()}
    return view | {"links": links(base_url, COLLECTION, host.info.uuid)}
