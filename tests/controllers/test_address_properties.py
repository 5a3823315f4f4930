# SPDX-License-Identifier: Apache-2.0
"""Whoever leads, and whatever is created, changed and removed in whatever order: an address has one owner, and none is lost."""

import asyncio

import hypothesis.strategies as st
from hypothesis import given, settings

from controllers.stage import until
from controllers.test_own_networks import asks, claimed, claims, detached, laboratory, net, network, on
from controllers.test_reaping_loop import reaping
from controllers.test_scheduling_loop import placed, scheduling
from support.records import T0
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.controllers.scheduling.pools import Pool
from zun.model.networks import AddressRange, subnet_of
from zun.model.records import Intent, SeenState, Verb
from zun.store import keys
from zun.store.fencing import Fence, LeadershipLost
from zun.store.interface import Put, unchanged
from zun.store.memory import MemoryStore

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from([None, None, None, "10.5.0.2", "10.5.0.3", "10.5.0.6"])),
        st.tuples(st.just("remove"), st.integers(0, 100)),
        st.tuples(st.just("another leads"), st.none()),
        st.tuples(st.just("attach"), st.integers(0, 100)),
        st.tuples(st.just("detach"), st.integers(0, 100)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
async def test_whoever_leads_and_whatever_is_created_and_removed_no_address_has_two_owners(
    steps: list[tuple[str, object]],
) -> None:
    """Leaders overlap: the one that was replaced goes on until it notices."""
    clock = ManualClock()
    async with world_on(MemoryStore(clock), clock) as world, asyncio.TaskGroup() as tasks:
        await laboratory(world, network("tight", "10.5.0.0/29"), network("second", "10.6.0.0/30"))
        leaders: list[asyncio.Task[None]] = []
        alive: list[str] = []
        for what, argument in [("another leads", None), *steps, ("another leads", None)]:
            if what == "another leads":
                leaders.append(await another_leads(world, tasks))
            else:
                await step(world, alive, what, argument)
            await asyncio.sleep(0)
        held: dict[str, str] = {}
        for uuid in alive:
            for key in (await placed(world, uuid)).addresses:
                assert held.setdefault(claimed(key), uuid) == uuid
        await until(world, lambda: len(list(world.view.containers())) == len(alive))
        assert await claims(world) == held
        for leader in leaders:
            leader.cancel()


async def another_leads(world: World, tasks: asyncio.TaskGroup, **options: object) -> asyncio.Task[None]:
    """Its loops at work; they end when they notice that somebody else leads."""
    revision = await world.write(Put(keys.leader("controller"), b"somebody"))
    fence = Fence(world.store, world.clock, unchanged(keys.leader("controller"), revision))

    async def loops() -> None:
        try:
            async with scheduling(world, fence, **options), reaping(world, fence):
                await asyncio.Event().wait()
        except* LeadershipLost:
            pass

    return tasks.create_task(loops())


async def step(world: World, alive: list[str], what: str, argument: object) -> None:
    """What people do."""
    if what == "create":
        assert argument is None or isinstance(argument, str)
        one = on(net("tight", v4=argument))
        alive.append(one.uuid)
        await world.wish(one)
    elif alive and isinstance(argument, int):
        uuid = alive[argument % len(alive)]
        if what == "remove":
            alive.remove(uuid)
            await remove(world, uuid)
        elif (await placed(world, uuid)).node:
            await changes(world, uuid, what)


async def changes(world: World, uuid: str, what: str) -> None:
    """It is attached to the second network, or leaves the first; its node does it at once."""
    verb, name = (Verb.NETWORK_ATTACH, "second") if what == "attach" else (Verb.NETWORK_DETACH, "tight")
    number = await asks(world, uuid, verb, name)
    await world.sees(uuid, SeenState.RUNNING, done=number)
    await until(world, lambda: not detached(world, uuid))


async def remove(world: World, uuid: str) -> None:
    """Somebody deletes it; where it was placed, its node removes it."""
    await placed(world, uuid)
    gone = world.entry(uuid).record()
    gone.intents = [*gone.intents, Intent(gone.seq + 1, Verb.DELETE, "req-d", T0)]
    gone.seq += 1
    await world.put(keys.container(uuid), gone)
    place = world.entry(uuid).place()
    assert place is not None
    if place.node:
        await world.sees(uuid, SeenState.GONE)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 8)), max_size=60))
def test_a_pool_gives_out_whatever_is_free_and_nothing_else(steps: list[tuple[bool, int]]) -> None:
    ranges = [AddressRange("10.6.0.2", "10.6.0.4"), AddressRange("10.6.0.9", "10.6.0.11")]
    pool = Pool(subnet_of("10.6.0.0/24", None, ranges))
    free = {f"10.6.0.{number}" for number in (2, 3, 4, 9, 10, 11)}
    taken: list[str] = []
    for take, number in steps:
        offered = pool.peek()
        assert (offered in free) if free else (offered is None)
        if take and offered is not None:
            pool.take(offered)
            free.discard(offered)
            taken.append(offered)
        elif taken:
            back = taken.pop(number % len(taken))
            pool.give_back(back)
            free.add(back)
