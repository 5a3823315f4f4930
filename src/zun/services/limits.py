# SPDX-License-Identifier: Apache-2.0
"""Limits of projects: who set which, which one counts, and how much of it is used.

Precedence: the project's own limit, then that of the quota class `default`, then the configuration. −1 is unlimited.
"""

import msgspec

from zun.model.caller import RequestContext
from zun.model.errors import Invalid
from zun.model.records import Limits
from zun.policy.enforcer import Policy
from zun.services.optimistic import OptimisticWriter, Write
from zun.store import keys
from zun.store.interface import Delete
from zun.store.view import View

UNLIMITED = -1
DEFAULT_CLASS = "default"
"""The only class whose limits have an effect."""

RESOURCES = ("containers", "memory", "cpu", "disk")
"""In the order in which clients know them."""


class ResourceUsage(msgspec.Struct, frozen=True):
    """A limit and how much of it is in use, both in the resource's own unit (cpu in cores, memory in MiB, disk in GiB)."""

    limit: int
    in_use: float


def effective_limits(view: View, project_id: str, defaults: Limits) -> Limits:
    """The limits that count for a project; every member is set. `defaults` are the configuration's (all set)."""
    own, _ = view.limits(keys.project_limits(project_id))
    return over(own, default_limits(view, defaults))


def default_limits(view: View, defaults: Limits) -> Limits:
    """The limits of a project that has none of its own."""
    of_class, _ = view.limits(keys.class_limits(DEFAULT_CLASS))
    return over(of_class, defaults)


def over(given: Limits | None, below: Limits) -> Limits:
    """`given` where it sets something, `below` elsewhere."""
    if given is None:
        return below
    return Limits(
        containers=below.containers if given.containers is None else given.containers,
        cpu=below.cpu if given.cpu is None else given.cpu,
        memory=below.memory if given.memory is None else given.memory,
        disk=below.disk if given.disk is None else given.disk,
    )


class LimitService:
    """Reads and sets limits. Every read is as fresh as the store; every call checks its policy rule first."""

    def __init__(self, view: View, policy: Policy, writer: OptimisticWriter, defaults: Limits) -> None:
        self._view = view
        self._policy = policy
        self._writer = writer
        self._defaults = defaults

    async def limits_for(self, ctx: RequestContext, project_id: str) -> Limits:
        """What counts for the project. Owners and admins may ask."""
        self._policy.authorize(ctx.caller, "quota:get", project_id=project_id)
        await self._view.fresh()
        return effective_limits(self._view, project_id, self._defaults)

    async def defaults_for(self, ctx: RequestContext, project_id: str) -> Limits:
        """What would count for the project if it had no limits of its own."""
        self._policy.authorize(ctx.caller, "quota:get_default", project_id=project_id)
        await self._view.fresh()
        return default_limits(self._view, self._defaults)

    async def usages(self, ctx: RequestContext, project_id: str) -> dict[str, ResourceUsage]:
        """Limit and use of each resource of the project, by name."""
        limits = await self.limits_for(ctx, project_id)
        usage, _ = self._view.usage(project_id)
        used = {
            "containers": float(usage.containers),
            "cpu": usage.millicpus / 1000,
            "memory": float(usage.memory),
            "disk": float(usage.disk),
        }
        return {name: ResourceUsage(limit=getattr(limits, name), in_use=used[name]) for name in RESOURCES}

    async def set_limits(self, ctx: RequestContext, project_id: str, changes: Limits) -> Limits:
        """Set what `changes` sets, keep the rest; returns what counts now. Raises `Invalid` for a limit below −1."""
        self._policy.authorize(ctx.caller, "quota:update")
        await self._change(keys.project_limits(project_id), changes)
        return effective_limits(self._view, project_id, self._defaults)

    async def clear(self, ctx: RequestContext, project_id: str) -> None:
        """Forget the project's own limits. Without any it is done already."""
        self._policy.authorize(ctx.caller, "quota:delete")
        key = keys.project_limits(project_id)

        async def forget() -> Write[None]:
            own = await self._writer.current(Limits, key)
            return Write(result=None, compares=[own.unchanged()], ops=[Delete(key)] if own.record else [])

        await self._writer.write(f"the limits of project {project_id}", forget)

    async def class_limits(self, ctx: RequestContext, name: str) -> Limits:
        """The limits of a quota class, from the configuration where it sets none."""
        self._policy.authorize(ctx.caller, "quota_class:get")
        await self._view.fresh()
        return over(self._view.limits(keys.class_limits(name))[0], self._defaults)

    async def set_class_limits(self, ctx: RequestContext, name: str, changes: Limits) -> Limits:
        """Set limits of a quota class (only `default` has an effect). Raises `Invalid` for a limit below −1."""
        self._policy.authorize(ctx.caller, "quota_class:update")
        return over(await self._change(keys.class_limits(name), changes), self._defaults)

    async def _change(self, key: str, changes: Limits) -> Limits:
        for resource in RESOURCES:
            value = getattr(changes, resource)
            if value is not None and value < UNLIMITED:
                raise Invalid(f"The limit of {resource} must be {UNLIMITED} (unlimited) or more, not {value}.")

        async def change() -> Write[Limits]:
            current = await self._writer.current(Limits, key)
            wanted = over(changes, current.record or Limits())
            return Write(result=wanted, compares=[current.unchanged()], ops=[current.put(wanted)])

        return await self._writer.write("the limits", change)
