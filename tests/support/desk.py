# SPDX-License-Identifier: Apache-2.0
"""The container services at work in a small world, with the real policy."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.records import spec as some_spec
from support.world import World
from zun.base.ids import new_request_id
from zun.base.sealing import MasterKey
from zun.model.caller import Caller, RequestContext
from zun.model.records import Limits
from zun.model.sandboxes import NO_SANDBOXES, Sandboxes
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.services.options import ContainerOptions, QuotaOptions
from zun.store.view import ContainerEntry

P1 = "11111111111111111111111111111111"
P2 = "22222222222222222222222222222222"


def context(project_id: str = P1, *, admin: bool = False, roles: tuple[str, ...] = ("member",)) -> RequestContext:
    """A request of somebody."""
    has = frozenset({*roles, "admin"} if admin else roles)
    return RequestContext(Caller("u1", project_id, has, is_admin=admin), new_request_id())


class Desk:
    """The services and shortcuts to ask them."""

    def __init__(self, world: World, service: ContainerService, master_key: MasterKey) -> None:
        self.world = world
        self.service = service
        self.master_key = master_key

    async def create(
        self,
        ctx: RequestContext | None = None,
        *,
        run: bool = False,
        files: dict[int, bytes] | None = None,
        **fields: object,
    ) -> ContainerEntry:
        """Create a container with the given fields."""
        wished = some_spec(**{"image": "busybox", **fields})
        given = frozenset({"image", "name", *fields})
        return await self.service.create(ctx or context(), wished, files or {}, run=run, given=given)


@asynccontextmanager
async def desk_in(
    world: World,
    options: ContainerOptions | None = None,
    limits: Limits | None = None,
    sandboxes: Sandboxes = NO_SANDBOXES,
    policy: Policy | None = None,
) -> AsyncIterator[Desk]:
    """The services, running while the context lasts."""
    master_key = MasterKey(bytes(32))
    service = ContainerService(
        world.store,
        world.view,
        policy or Policy(),
        world.clock,
        master_key=master_key,
        options=options or ContainerOptions(),
        default_limits=limits or QuotaOptions().limits(),
        sandboxes=sandboxes,
        rng=random.Random(7),
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(service.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            yield Desk(world, service, master_key)
        finally:
            running.cancel()
