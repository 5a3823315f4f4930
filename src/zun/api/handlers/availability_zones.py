# SPDX-License-Identifier: Apache-2.0
"""Availability zones: the distinct zones of the nodes."""

from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.services.nodes import NodeService


class ZoneHandlers:
    """`/v1/availability_zones`."""

    def __init__(self, nodes: NodeService) -> None:
        self._nodes = nodes

    async def list(self, call: Call) -> Response:
        """All zones, on one page."""
        zones = await self._nodes.zones(call.context)
        return responses.json({"availability_zones": [{"availability_zone": zone} for zone in zones], "next": None})
