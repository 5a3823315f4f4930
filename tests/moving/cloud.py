# SPDX-License-Identifier: Apache-2.0
"""A made-up cloud: machines, one store, services and a leader, in one event loop and virtual time."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from moving.machine import Machine
from support.desk import P1, context
from support.records import spec as some_spec
from support.virtual_time import LoopClock
from zun.base.sealing import MasterKey
from zun.controllers.leading import Controller
from zun.controllers.nodes.loop import NodesLoop
from zun.controllers.reaping.loop import ReapingLoop
from zun.controllers.scheduling.loop import SchedulingLoop
from zun.controllers.scheduling.options import SchedulerOptions
from zun.model.records import Usage
from zun.model.resources import add, held_by
from zun.model.states import Status
from zun.model.status import Derived
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.services.node_registration import Newcomer, NodeRegistration
from zun.services.nodes import BINARY, NodeService
from zun.services.optimistic import OptimisticWriter
from zun.services.options import ContainerOptions, QuotaOptions
from zun.store import keys
from zun.store.memory import MemoryStore
from zun.store.view import ContainerEntry, View

DELAY = 60.0
STARTLED_SECONDS = 2.5
"""So long after it wakes a machine may run what it should not: until its watchdog, or its agent, looked."""

_LOOK_SECONDS = 0.25


class Cloud:
    """Everything. `twice` holds each container that was seen running twice when it should not."""

    def __init__(self, directory: Path, names: list[str], scheduler: SchedulerOptions | None = None) -> None:
        self._scheduler = scheduler or SchedulerOptions()
        self.clock = LoopClock()
        self.store = MemoryStore(self.clock)
        self.view = View(self.store, self.clock)
        self.machines = {
            name: Machine(name, directory / name, self.store, self.clock, seed) for seed, name in enumerate(names)
        }
        self.master_key = MasterKey(bytes(32))
        policy = Policy()
        self.containers = ContainerService(
            self.store,
            self.view,
            policy,
            self.clock,
            master_key=self.master_key,
            options=ContainerOptions(),
            default_limits=QuotaOptions(containers=-1, cpu=-1, memory=-1, disk=-1).limits(),
            rng=random.Random(7),
        )
        writer = OptimisticWriter(self.store, self.view, self.clock)
        self.nodes = NodeService(self.view, policy, writer, self.clock)
        self.twice: list[str] = []
        self._leader: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[object]] = []

    # the control plane

    def lead(self) -> None:
        """Somebody leads."""
        scheduling = SchedulingLoop(
            store=self.store,
            view=self.view,
            clock=self.clock,
            master_key=self.master_key,
            options=self._scheduler,
            rng=random.Random(3),
            heal_delay_seconds=DELAY,
        )
        reaping = ReapingLoop(
            store=self.store,
            view=self.view,
            clock=self.clock,
            retention_seconds=100_000,
            purge_interval_seconds=100_000,
        )
        nodes = NodesLoop(view=self.view, clock=self.clock, drain_at_once=2)
        controller = Controller(
            self.store, self.clock, [scheduling, reaping, nodes], identity="leader", lease_ttl_seconds=10
        )
        self._leader = asyncio.ensure_future(controller.run())

    async def lose_leader(self) -> None:
        """The leader's process dies; another one takes over."""
        assert self._leader is not None
        await _end(self._leader)
        self.lead()

    async def begin(self) -> None:
        self._tasks = [asyncio.ensure_future(each) for each in (self.view.run(), self.containers.run(), self._look())]
        await self.view.ready()
        self.lead()
        registration = NodeRegistration(self.store, self.clock)
        for machine in self.machines.values():
            machine.power_on()
            await registration.register(Newcomer(machine.name, machine.identity.uuid, machine.key.public))
        await self.until(lambda: all(node.alive for node in self.view.nodes()), "all nodes report")

    async def close(self) -> None:
        for machine in self.machines.values():
            machine.wake()
            await machine.power_off()
        for task in [*self._tasks, self._leader]:
            if task is not None:
                await _end(task)
        await self.store.close()

    # people

    async def create(self, *, heal: bool = True, run: bool = True, project: str = P1, **fields: object) -> str:
        """Have a container made; its uuid."""
        given: dict[str, object] = {
            "image": "busybox", "command": ["sleep", "1000000"], "cpu": 0.1, "memory": 64, "auto_heal": heal, **fields,
        }  # fmt: skip
        wished = some_spec(**given)
        entry = await self.containers.create(context(project), wished, {}, run=run, given=frozenset(given))
        return entry.uuid

    async def delete(self, uuid: str) -> None:
        entry = self.view.container(uuid)
        if entry is not None:
            await self.containers.delete(context(admin=True), entry, force=True)

    async def drain(self, name: str) -> None:
        await self.nodes.drain(context(admin=True), name)

    async def undrain(self, name: str) -> None:
        await self.nodes.undrain(context(admin=True), name)

    async def force_down(self, name: str, *, forced: bool = True) -> None:
        await self.nodes.force_down(context(admin=True), name, BINARY, forced_down=forced)

    # what can be seen

    def entry(self, uuid: str) -> ContainerEntry:
        entry = self.view.container(uuid)
        assert entry is not None, f"there is no container {uuid}"
        return entry

    def derived(self, uuid: str) -> Derived:
        return self.view.derive(self.entry(uuid))

    def status(self, uuid: str) -> Status:
        return self.derived(uuid).status

    def node_of(self, uuid: str) -> str:
        return self.entry(uuid).node

    def homes(self, uuid: str) -> list[str]:
        """The machines on which it runs now."""
        return [
            name for name, machine in self.machines.items() for one in machine.running() if one.request.uuid == uuid
        ]

    def objects(self) -> Counter[str]:
        """How many objects there are of each container, on all machines."""
        return Counter(
            found.request.uuid for machine in self.machines.values() for found in machine.engine.containers.values()
        )

    async def running(self, uuid: str, *, seconds: float = 60) -> str:
        """Wait until it runs; on which node."""
        await self.until(lambda: self.status(uuid) is Status.RUNNING, f"{uuid} runs", seconds=seconds)
        return self.node_of(uuid)

    async def until(self, holds: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
        deadline = self.clock.monotonic() + seconds
        while not holds():
            assert self.clock.monotonic() < deadline, f"waited {seconds:g} seconds in vain: {what}"
            self._check()
            await asyncio.sleep(0.05)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._check()

    def usage(self) -> tuple[Usage, Usage]:
        """What the project's record says, and what its containers add up to."""
        total = Usage()
        for entry in self.view.containers():
            total = add(total, held_by(entry.record()))
        return self.view.usage(P1)[0], total

    async def keys(self, prefix: str) -> list[str]:
        return [item.key for item in (await self.store.range(prefix)).items]

    async def orders(self) -> list[str]:
        """Inbox entries for containers that are not, or no longer, placed there."""
        found = []
        for key in await self.keys(keys.INBOX):
            node, _, rest = key.removeprefix(keys.INBOX).partition("/")
            entry = self.view.container(rest.rpartition("/")[2])
            if entry is None or entry.node != node:
                found.append(key)
        return found

    def _check(self) -> None:
        assert not self.twice, f"ran twice: {self.twice}"
        for machine in self.machines.values():
            failure = machine.failed()
            assert failure is None, f"the agent of {machine.name} ended: {failure!r}"
        for task in [*self._tasks, self._leader]:
            assert task is None or not task.done(), f"ended: {task!r}"

    async def _look(self) -> None:
        """The one promise: no container runs twice, but for a moment where somebody wakes who slept."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            running = Counter(
                one.request.uuid
                for machine in self.machines.values()
                if self.clock.monotonic() - machine.woke_at > STARTLED_SECONDS
                for one in machine.running()
            )
            self.twice += [f"{uuid} at {self.clock.monotonic():.2f}" for uuid, times in running.items() if times > 1]


async def _end(task: "asyncio.Task[object] | asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def cloud_of(
    directory: Path, names: list[str], scheduler: SchedulerOptions | None = None
) -> AsyncIterator[Cloud]:
    """A cloud whose machines all work."""
    cloud = Cloud(directory, names, scheduler)
    try:
        await cloud.begin()
        yield cloud
    finally:
        await cloud.close()
