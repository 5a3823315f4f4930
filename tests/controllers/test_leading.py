# SPDX-License-Identifier: Apache-2.0
"""One process leads; what it runs stops when it leads no more, and the next one takes over."""

import asyncio

from support.world import World
from zun.base.clock import ManualClock
from zun.controllers.leading import ROLE, Controller
from zun.store import keys
from zun.store.fencing import Fence
from zun.store.interface import Delete, Put


class Recorder:
    """A loop that notes when it runs and writes once each time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()
        self.fences: list[Fence] = []

    async def run(self, fence: Fence) -> None:
        """Until cancelled."""
        self.fences.append(fence)
        self.stopped.clear()
        self.started.set()
        try:
            await fence.transact([], [Put(f"{keys.TOUCHED}{self.name}", b"x")])
            await asyncio.Event().wait()
        finally:
            self.started.clear()
            self.stopped.set()


def a_controller(world: World, loop: Recorder, *, alone: bool = False) -> Controller:
    return Controller(world.store, world.clock, [loop], identity=loop.name, lease_ttl_seconds=10, alone=alone)


async def test_only_one_of_two_runs_its_loops_and_the_other_takes_over(world: World) -> None:
    first, second = Recorder("first"), Recorder("second")
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        leading = tasks.create_task(a_controller(world, first).run())
        await first.started.wait()
        waiting = tasks.create_task(a_controller(world, second).run())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not second.started.is_set()
        leading.cancel()
        await second.started.wait()
        assert first.stopped.is_set()
        waiting.cancel()


async def test_a_leader_whose_key_is_gone_stops_and_campaigns_again(world: World, clock: ManualClock) -> None:
    loop = Recorder("first")
    controller = a_controller(world, loop)
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        running = tasks.create_task(controller.run())
        await loop.started.wait()
        assert controller.leading
        await world.write(Delete(keys.leader(ROLE)))
        while len(loop.fences) < 2:
            clock.advance(1)
            await asyncio.sleep(0)
        running.cancel()
    assert loop.fences[0].leadership != loop.fences[1].leadership


async def test_on_a_store_of_its_own_a_process_does_not_wait_for_the_lease_of_a_dead_one(world: World) -> None:
    lease = await world.store.grant_lease(10)
    await world.write(Put(keys.leader(ROLE), b"who was killed", lease))
    loop = Recorder("next")
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        running = tasks.create_task(a_controller(world, loop, alone=True).run())
        await loop.started.wait()
        running.cancel()


class SlowToStop(Recorder):
    """A loop that has something to finish when it is stopped."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.finishing = asyncio.Event()
        self.may_end = asyncio.Event()

    async def run(self, fence: Fence) -> None:
        """Until cancelled, and then some."""
        try:
            await super().run(fence)
        finally:
            self.finishing.set()
            await self.may_end.wait()


async def test_a_process_that_is_stopped_while_it_loses_the_lead_does_not_stand_again(
    world: World, clock: ManualClock
) -> None:
    loop = SlowToStop("first")
    running = asyncio.create_task(a_controller(world, loop).run())
    async with asyncio.timeout(60):
        await loop.started.wait()
        await world.write(Delete(keys.leader(ROLE)))
        while not loop.finishing.is_set():
            clock.advance(1)
            await asyncio.sleep(0)
        running.cancel()
        loop.may_end.set()
        await asyncio.wait({running})
    assert running.cancelled()
    assert len(loop.fences) == 1
