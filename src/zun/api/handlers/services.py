# SPDX-License-Identifier: Apache-2.0
"""Services: the nodes' agents with their switches. For administrators."""

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.base.timestamps import iso
from zun.model.fields import Field, Unknown
from zun.model.rules import NARROW_BOOLEAN, text
from zun.services.nodes import DEFAULT_ZONE, ComputeService, NodeService

_NAME = text(1, 255)


class ServiceName(msgspec.Struct, frozen=True, kw_only=True):
    """Which service."""

    host: Annotated[str, Field(rule=_NAME, required=True, nullable=False, doc="Name of the host.")]
    binary: Annotated[str, Field(rule=_NAME, required=True, nullable=False, doc="Its kind: zun-compute.")]


class Disabling(ServiceName, frozen=True, kw_only=True):
    """Which service to disable, and why."""

    disabled_reason: Annotated[str | None, Field(rule=text(1, 255), doc="Why, for other administrators.")] = None


class ForcingDown(ServiceName, frozen=True, kw_only=True):
    """Which service is down whatever it says, or no longer."""

    forced_down: Annotated[bool, Field(rule=NARROW_BOOLEAN, required=True, nullable=False, doc="Whether it is.")]


class ServiceHandlers:
    """`/v1/services`. Parameters may come in the query or in the body."""

    def __init__(self, nodes: NodeService) -> None:
        self._nodes = nodes

    async def list(self, call: Call) -> Response:
        """All services; this list has no pages."""
        return responses.json({"services": [_view(service) for service in await self._nodes.services(call.context)]})

    async def enable(self, call: Call) -> Response:
        """Let it get containers again."""
        form = await call.arguments(ServiceName, unknown=Unknown.REFUSE)
        record = await self._nodes.enable(call.context, form.host, form.binary)
        return _switched(form, disabled=record.disabled, disabled_reason=record.disabled_reason)

    async def disable(self, call: Call) -> Response:
        """Give it no new containers."""
        form = await call.arguments(Disabling, unknown=Unknown.REFUSE)
        record = await self._nodes.disable(call.context, form.host, form.binary, form.disabled_reason)
        return _switched(form, disabled=record.disabled, disabled_reason=record.disabled_reason)

    async def force_down(self, call: Call) -> Response:
        """Take it for dead, or stop doing so."""
        form = await call.arguments(ForcingDown, unknown=Unknown.REFUSE)
        record = await self._nodes.force_down(call.context, form.host, form.binary, forced_down=form.forced_down)
        return _switched(form, forced_down=record.forced_down)

    async def delete(self, call: Call) -> Response:
        """Forget it."""
        form = await call.arguments(ServiceName, unknown=Unknown.REFUSE)
        await self._nodes.delete(call.context, form.host, form.binary)
        return responses.null()


def _switched(form: ServiceName, **state: object) -> Response:
    return responses.json({"service": {"host": form.host, "binary": form.binary, **state}})


def _view(service: ComputeService) -> dict[str, Any]:
    record = service.record
    return {
        "id": record.number,
        "host": record.node,
        "binary": service.binary,
        "disabled": record.disabled,
        "disabled_reason": record.disabled_reason,
        "forced_down": record.forced_down,
        "last_seen_up": iso(service.last_seen_up),
        "report_count": service.report_count,
        "availability_zone": record.zone or DEFAULT_ZONE,
        "created_at": iso(record.created_at),
        "updated_at": iso(record.updated_at),
        "state": "up" if service.up else "down",
    }
