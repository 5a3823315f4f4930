# SPDX-License-Identifier: Apache-2.0
"""Quotas of projects and of quota classes."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.model.fields import Field, Unknown
from zun.model.records import Limits
from zun.model.rules import LIST_BOOLEAN, integer
from zun.services.limits import RESOURCES, LimitService

_LIMIT = integer(-1, 10**9)


class QuotaForm(msgspec.Struct, frozen=True):
    """Limits to set; −1 is unlimited."""

    containers: Annotated[int | None, Field(rule=_LIMIT, doc="How many containers.")] = None
    memory: Annotated[int | None, Field(rule=_LIMIT, doc="Memory of all containers, MiB.")] = None
    cpu: Annotated[int | None, Field(rule=_LIMIT, doc="Cores of all containers.")] = None
    disk: Annotated[int | None, Field(rule=_LIMIT, doc="Disk of all containers, GiB.")] = None

    def limits(self) -> Limits:
        """The same as limits."""
        return Limits(containers=self.containers, cpu=self.cpu, memory=self.memory, disk=self.disk)


class UsagesQuery(msgspec.Struct, frozen=True):
    """What to show of a quota."""

    usages: Annotated[bool, Field(rule=LIST_BOOLEAN, doc="Show what is in use, too.")] = False


class QuotaHandlers:
    """`/v1/quotas/{project}`."""

    def __init__(self, limits: LimitService) -> None:
        self._limits = limits

    async def show(self, call: Call) -> Response:
        """The limits that count for a project, with what is in use if asked for."""
        project = call.params["project"]
        asked = {name: value for name, value in call.query_members().items() if value != ""}
        if not call.read(UsagesQuery, asked, code="invalid-value").usages:
            return _flat(await self._limits.limits_for(call.context, project))
        usages = await self._limits.usages(call.context, project)
        return responses.json({name: {"limit": use.limit, "in_use": use.in_use} for name, use in usages.items()})

    async def defaults(self, call: Call) -> Response:
        """What would count without limits of the project's own."""
        return _flat(await self._limits.defaults_for(call.context, call.params["project"]))

    async def update(self, call: Call) -> Response:
        """Set limits of a project."""
        form = await call.arguments(QuotaForm, unknown=Unknown.REFUSE)
        return _flat(await self._limits.set_limits(call.context, call.params["project"], form.limits()))

    async def delete(self, call: Call) -> Response:
        """Forget the project's own limits."""
        await self._limits.clear(call.context, call.params["project"])
        return responses.null()


class QuotaClassHandlers:
    """`/v1/quota_classes/{name}`. Only the class `default` has an effect."""

    def __init__(self, limits: LimitService) -> None:
        self._limits = limits

    async def show(self, call: Call) -> Response:
        """The limits of a class."""
        return _flat(await self._limits.class_limits(call.context, call.params["name"]))

    async def update(self, call: Call) -> Response:
        """Set limits of a class."""
        form = await call.arguments(QuotaForm, unknown=Unknown.REFUSE)
        return _flat(await self._limits.set_class_limits(call.context, call.params["name"], form.limits()))


def _flat(limits: Limits) -> Response:
    return responses.json({name: getattr(limits, name) for name in RESOURCES})
