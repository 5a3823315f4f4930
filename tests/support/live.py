# SPDX-License-Identifier: Apache-2.0
"""A world whose nodes have live things: the live service over scripted nodes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.records import record, spec
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.model.caller import Caller, RequestContext
from zun.policy.enforcer import Policy
from zun.services.consoles import ConsoleGrants
from zun.services.live import LiveService
from zun.services.live_options import LiveOptions
from zun.services.nodelive_fake import FakeDirectory, FakeNode
from zun.store.memory import MemoryStore
from zun.store.view import ContainerEntry


def context(*roles: str, project: str = "p1") -> RequestContext:
    """A request of somebody with these roles."""
    caller = Caller("u1", project, frozenset(roles), is_admin="admin" in roles)
    return RequestContext(caller, "req-1")


MEMBER = context("member")
READER = context("reader")
ADMIN = context("admin", project="cloud")


class LiveWorld:
    """A world with the node `n1` and its live things."""

    def __init__(self, world: World, clock: ManualClock, options: LiveOptions) -> None:
        self.world = world
        self.clock = clock
        self.node = FakeNode()
        self.directory = FakeDirectory({"n1": self.node})
        self.options = options
        self.policy = Policy()
        self.grants = ConsoleGrants(world.store, clock, options)
        self.live = LiveService(world.view, self.policy, self.directory, self.grants, options)

    async def running(self, *, interactive: bool = False, project: str = "p1") -> ContainerEntry:
        """A container that runs on `n1`."""
        entry = await self.world.wish(record(project, spec=spec(interactive=interactive, tty=interactive)))
        await self.world.running(entry.uuid)
        return entry


@asynccontextmanager
async def live_world(options: LiveOptions | None = None) -> AsyncIterator[LiveWorld]:
    """The world, as long as the context lasts."""
    clock = ManualClock()
    store = MemoryStore(clock)
    async with world_on(store, clock) as world:
        await world.node()
        yield LiveWorld(world, clock, options or LiveOptions())
    await store.close()
