# SPDX-License-Identifier: Apache-2.0
"""Projects that are kept apart, from wishes to places on a store."""

from collections import Counter

from controllers.stage import until, wish
from controllers.test_scheduling_loop import decided, placed, resized, running, scheduling
from support.records import spec
from support.world import World
from zun.model.status import NO_HOSTS
from zun.store.fencing import Fence


async def test_projects_that_come_together_are_kept_apart_within_one_turn(world: World, fence: Fence) -> None:
    await world.node("n1")
    await world.node("n2")
    wishes = [wish(project_id=f"p{number % 3}") for number in range(9)]
    for one in wishes:
        await world.wish(one)
    async with scheduling(world, fence, tenant_isolation="exclusive"):
        places = [await placed(world, one.uuid) for one in wishes]
    who = {(place.node, one.project_id) for place, one in zip(places, wishes, strict=True) if place.node}
    assert Counter(node for node, _ in who) == {"n1": 1, "n2": 1}
    refused = [place.failure.reason for place in places if place.failure is not None]
    assert refused == [f"{NO_HOSTS} 2 of 2 nodes: has containers of another project and isolation is exclusive."] * 3


async def test_a_new_leader_knows_whose_the_containers_are_and_what_they_run_under(world: World, fence: Fence) -> None:
    await world.node("n1", runtimes=["runc", "runsc"])
    old, plain, shut = wish(spec=spec(runtime="runsc")), wish(project_id="p2"), wish(project_id="p2")
    shut.spec.runtime = "runsc"
    await world.wish(old)
    await world.place(old.uuid)
    async with scheduling(world, fence, tenant_isolation="sandboxed"):
        await world.wish(plain)
        await world.wish(shut)
        assert (await placed(world, plain.uuid)).node == ""
        assert (await placed(world, shut.uuid)).node == "n1"


async def test_a_resized_container_is_still_a_neighbour(world: World, fence: Fence) -> None:
    await world.node("n1")
    async with scheduling(world, fence, tenant_isolation="exclusive"):
        mine = await running(world)
        await world.wish(resized(mine, 3, memory=300))
        await until(world, lambda: decided(world, mine.uuid) == 3)
        sibling, stranger = wish(), wish(project_id="p2")
        await world.wish(stranger)
        assert (await placed(world, stranger.uuid)).node == ""
        await world.wish(sibling)
        assert (await placed(world, sibling.uuid)).node == "n1"
