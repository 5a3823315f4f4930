# SPDX-License-Identifier: Apache-2.0
"""The scheduling loop on a store: what gets a place, what is said otherwise, and what it never does."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from controllers.stage import Meddling, time_goes_by, until, wish
from support.records import T0, spec
from support.world import World
from zun.base.clock import ManualClock
from zun.base.sealing import MasterKey, NodeKey
from zun.controllers.scheduling.loop import SchedulingLoop
from zun.controllers.scheduling.options import SchedulerOptions
from zun.model.container import NetRequest
from zun.model.records import (
    Claim,
    ContainerRecord,
    ImageSource,
    ImageWish,
    Inbox,
    Intent,
    NameClaim,
    NodeRecord,
    Place,
    Verb,
)
from zun.model.states import Status
from zun.model.status import NO_HOSTS
from zun.store import codec, keys
from zun.store.fencing import Fence, LeadershipLost
from zun.store.interface import Put

MASTER = MasterKey(b"k" * 32)


def a_loop(world: World, **options: object) -> SchedulingLoop:
    """The loop over a world."""
    return SchedulingLoop(
        store=world.store,
        view=world.view,
        clock=world.clock,
        master_key=MASTER,
        options=SchedulerOptions(**options),
        rng=random.Random(3),
        heal_delay_seconds=60.0,
        sandboxes=["runsc"],
    )


@asynccontextmanager
async def scheduling(world: World, fence: Fence, **options: object) -> AsyncIterator[None]:
    """The loop at work."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(a_loop(world, **options).run(fence))
        try:
            yield
        finally:
            running.cancel()


async def placed(world: World, uuid: str) -> Place:
    """The place, once the leader wrote one."""
    await until(world, lambda: world.entry(uuid).place_revision > 0)
    place = world.entry(uuid).place()
    assert place is not None
    return place


async def settled(world: World) -> None:
    """Long enough for the loop to do what it would do: a container that comes now has its place."""
    later = wish()
    await world.wish(later)
    await placed(world, later.uuid)


async def inbox(world: World, node: str, uuid: str) -> Inbox:
    """What lies in a node's inbox."""
    found = await world.store.get(keys.inbox(node, uuid))
    assert found is not None
    return codec.decode(Inbox, found.value)


async def test_a_new_container_gets_a_place_and_lies_in_the_inbox_of_its_node(world: World, fence: Fence) -> None:
    await world.node("n1")
    wished = wish()
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert (place.node, place.generation) == ("n1", 1)
    assert place.claim == Claim(millicpus=1000, memory_mib=512)
    assert place.why.startswith("n1, the only candidate")
    got = await inbox(world, "n1", wished.uuid)
    assert [intent.verb for intent in got.intents] == [Verb.CREATE, Verb.START]
    assert (got.generation, got.claim, got.spec) == (1, place.claim, wished.spec)


async def test_containers_that_came_before_the_leader_are_placed_too_and_spread(world: World, fence: Fence) -> None:
    await world.node("n1")
    await world.node("n2")
    wishes = [wish() for _ in range(10)]
    for one in wishes:
        await world.wish(one)
    async with scheduling(world, fence):
        places = [await placed(world, one.uuid) for one in wishes]
    assert Counter(place.node for place in places) == {"n1": 5, "n2": 5}


async def test_what_came_together_shares_few_transactions(world: World, fence: Fence) -> None:
    await world.node("n1", millicpus=1_000_000, memory_mib=1_000_000)
    wishes = [wish() for _ in range(100)]
    for one in wishes:
        await world.wish(one)
    before = world.view.revision
    async with scheduling(world, fence):
        for one in wishes:
            await placed(world, one.uuid)
    assert world.view.revision - before <= 3


async def test_a_full_node_gets_no_more_even_when_many_come_at_once(world: World, fence: Fence) -> None:
    await world.node("n1", millicpus=3500)
    wishes = [wish() for _ in range(10)]
    async with scheduling(world, fence):
        for one in wishes:
            await world.wish(one)
        places = [await placed(world, one.uuid) for one in wishes]
    assert Counter(place.node for place in places) == {"n1": 3, "": 7}


async def test_what_fits_nowhere_is_an_error_with_the_counted_reasons(world: World, fence: Fence) -> None:
    await world.node("n1")
    wished = wish(spec=spec(memory=100_000))
    async with scheduling(world, fence):
        await world.wish(wished)
        await placed(world, wished.uuid)
    shown = world.view.derive(world.entry(wished.uuid))
    assert shown.status is Status.ERROR
    assert shown.reason == f"{NO_HOSTS} 1 of 1 node: not enough memory (100000 MiB asked, at most 16384 MiB free)."


async def test_a_start_after_the_refusal_makes_the_leader_try_again(world: World, fence: Fence) -> None:
    await world.node("n1", memory_mib=100)
    wished = wish()
    async with scheduling(world, fence):
        await world.wish(wished)
        assert (await placed(world, wished.uuid)).node == ""
        await world.node("n2")
        await settled(world)
        assert world.entry(wished.uuid).node == ""
        again = msgspec.structs.replace(wished, seq=3, intents=[*wished.intents, Intent(3, Verb.START, "req-3", T0)])
        await world.wish(again)
        await until(world, lambda: world.entry(wished.uuid).node == "n2")
    place = world.entry(wished.uuid).place()
    assert place is not None
    assert place.failure is None
    assert place.generation == 1


async def test_just_after_the_start_it_waits_for_the_first_node(world: World, fence: Fence, clock: ManualClock) -> None:
    wished = wish()
    async with scheduling(world, fence, node_grace_seconds=5):
        await world.wish(wished)
        clock.advance(4)
        await world.node("n1")
        assert (await placed(world, wished.uuid)).node == "n1"


async def test_without_any_node_it_says_so_after_a_while(world: World, fence: Fence, clock: ManualClock) -> None:
    wished = wish()
    began = clock.now()
    async with scheduling(world, fence, node_grace_seconds=5), time_goes_by(clock):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.at - began >= 5
    assert world.view.derive(world.entry(wished.uuid)).reason == f"{NO_HOSTS} No node is registered."


async def test_a_container_that_is_being_deleted_gets_no_place(world: World, fence: Fence) -> None:
    await world.node("n1")
    doomed = wish(Verb.CREATE, Verb.DELETE)
    async with scheduling(world, fence):
        await world.wish(doomed)
        await settled(world)
    assert world.entry(doomed.uuid).place_revision == 0


async def test_files_are_sealed_for_the_node_and_no_longer_staged(
    world: World, fence: Fence, node_key: NodeKey
) -> None:
    await world.node("n1")
    await world.put(keys.node("n1"), NodeRecord("n1", 1, T0, public_key=node_key.public))
    wished = wish(files=2)
    stage = [Put(keys.stage(wished.uuid, n), MASTER.encrypt(f"secret {n}".encode())) for n in range(2)]
    async with scheduling(world, fence):
        await world.write(*stage, Put(keys.container(wished.uuid), codec.encode(wished)))
        await placed(world, wished.uuid)
    blobs = await world.store.range(keys.blobs("n1", wished.uuid))
    assert [node_key.open(blob.value) for blob in blobs.items] == [b"secret 0", b"secret 1"]
    assert not (await world.store.range(keys.stages(wished.uuid))).items


async def test_files_that_do_not_open_are_an_error_not_a_stuck_loop(
    world: World, fence: Fence, node_key: NodeKey
) -> None:
    await world.node("n1")
    await world.put(keys.node("n1"), NodeRecord("n1", 1, T0, public_key=node_key.public))
    wished = wish(files=1)
    other = MasterKey(b"o" * 32).encrypt(b"x")
    async with scheduling(world, fence):
        await world.write(
            Put(keys.stage(wished.uuid, 0), other), Put(keys.container(wished.uuid), codec.encode(wished))
        )
        place = await placed(world, wished.uuid)
        await settled(world)
    assert place.failure is not None
    assert "another master key" in place.failure.reason


async def test_a_fixed_address_is_claimed_and_refused_to_the_next(world: World, fence: Fence) -> None:
    await world.node("n1")
    nets = [NetRequest("lab", v4_fixed_ip="10.9.0.7")]
    first, second = wish(spec=spec(nets=nets)), wish(spec=spec(nets=nets))
    async with scheduling(world, fence):
        await world.wish(first)
        place = await placed(world, first.uuid)
        await world.wish(second)
        refused = await placed(world, second.uuid)
    assert place.addresses == [keys.address("n1:lab", "10.9.0.7")]
    assert await world.store.get(place.addresses[0]) is not None
    assert refused.failure is not None
    assert "a requested address is taken (10.9.0.7)" in refused.failure.reason


async def test_an_address_held_by_somebody_unknown_is_refused_too(
    world: World, fence: Fence, clock: ManualClock
) -> None:
    await world.node("n1")
    await world.put(keys.address("n1:lab", "10.9.0.7"), NameClaim("somebody"))
    wished = wish(spec=spec(nets=[NetRequest("lab", v4_fixed_ip="10.9.0.7")]))
    async with scheduling(world, fence), time_goes_by(clock):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.failure is not None
    assert "a requested address is taken" in place.failure.reason


async def test_a_committed_image_is_run_where_it_lies(world: World, fence: Fence) -> None:
    reference = "committed.zun.local/p1/mine:v1"
    for name in ("n1", "n2", "n3"):
        await world.node(name)
    source = ImageSource(reference, "never")
    wishes = [wish(image_source=source) for _ in range(4)]
    async with scheduling(world, fence):
        image = ImageWish("i1", "p1", "u1", "n2", "mine", "v1", T0, source, committed=True)
        await world.put(keys.image("i1"), image)
        for one in wishes[:3]:
            await world.wish(one)
        places = [await placed(world, one.uuid) for one in wishes[:3]]
        await world.put(keys.image("i1"), msgspec.structs.replace(image, absent=True))
        await world.wish(wishes[3])
        refused = await placed(world, wishes[3].uuid)
    assert [place.node for place in places] == ["n2", "n2", "n2"]
    assert refused.failure is not None
    assert refused.failure.detail == "3 of 3 nodes: does not have the committed image."


async def test_capacity_of_a_removed_container_is_used_again(world: World, fence: Fence) -> None:
    await world.node("n1", millicpus=1000)
    first, second = wish(), wish()
    async with scheduling(world, fence):
        await world.wish(first)
        await placed(world, first.uuid)
        await world.reaped(first.uuid)
        await world.wish(second)
        assert (await placed(world, second.uuid)).node == "n1"


async def test_a_resize_is_granted_and_reaches_the_node(world: World, fence: Fence) -> None:
    await world.node("n1")
    async with scheduling(world, fence):
        wished = await running(world)
        await world.wish(resized(wished, 3, cpu=2.0, memory=1024))
        await until(world, lambda: decided(world, wished.uuid) == 3)
    place = world.entry(wished.uuid).place()
    assert place is not None
    assert place.claim == Claim(millicpus=2000, memory_mib=1024)
    assert place.resize_refused == {}
    got = await inbox(world, "n1", wished.uuid)
    assert (got.seq, got.claim) == (3, place.claim)


async def test_resizes_together_never_exceed_the_node(world: World, fence: Fence) -> None:
    await world.node("n1", memory_mib=1500)
    async with scheduling(world, fence):
        one, other = await running(world), await running(world)
        first = resized(one, 3, memory=700)
        both = msgspec.structs.replace(first, seq=4, intents=[*first.intents, resized(one, 4, memory=980).intents[-1]])
        await world.write(
            Put(keys.container(one.uuid), codec.encode(both)),
            Put(keys.container(other.uuid), codec.encode(resized(other, 3, memory=600))),
        )
        await until(world, lambda: decided(world, one.uuid) == 4 and decided(world, other.uuid) == 3)
    places = [world.entry(uuid).place() for uuid in (one.uuid, other.uuid)]
    assert sum(place.claim.memory_mib for place in places if place) <= 1500
    assert [set(place.resize_refused) for place in places if place] == [set(), {3}]
    assert places[1] is not None
    assert places[1].resize_refused[3] == (
        "Node n1 cannot give that: not enough memory (88 MiB more asked, 8 MiB free)."
    )


async def test_when_the_spec_was_put_back_the_claim_follows(world: World, fence: Fence) -> None:
    await world.node("n1")
    async with scheduling(world, fence):
        wished = await running(world)
        await world.wish(resized(wished, 3, memory=1024))
        await until(world, lambda: decided(world, wished.uuid) == 3)
        await world.wish(msgspec.structs.replace(wished, seq=3, intents=[]))
        await until(world, lambda: claim_of(world, wished.uuid).memory_mib == 512)


async def test_a_wish_that_changes_meanwhile_is_read_again(world: World, clock: ManualClock, fence: Fence) -> None:
    await world.node("n1")
    wished = wish()
    changed = msgspec.structs.replace(wished, spec=spec(memory=1024), updated_at=T0 + 1)
    meddled = Meddling(world.store, keys.place(wished.uuid), Put(keys.container(wished.uuid), codec.encode(changed)))
    leading = Fence(meddled, clock, fence.leadership)
    async with scheduling(world, leading), time_goes_by(clock):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.claim.memory_mib == 1024


async def test_a_node_that_is_disabled_meanwhile_gets_nothing(world: World, clock: ManualClock, fence: Fence) -> None:
    await world.node("n1")
    wished = wish()
    disabled = NodeRecord("n1", 1, T0, disabled=True)
    meddled = Meddling(world.store, keys.place(wished.uuid), Put(keys.node("n1"), codec.encode(disabled)))
    async with scheduling(world, Fence(meddled, clock, fence.leadership)), time_goes_by(clock):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.failure is not None
    assert "disabled" in place.failure.reason


async def test_a_leader_that_was_replaced_writes_nothing_and_stops(world: World, fence: Fence) -> None:
    await world.node("n1")
    await world.write(Put(keys.leader("controller"), b"somebody else"))
    wished = wish()
    await world.wish(wished)
    with pytest.raises(ExceptionGroup) as stopped:
        await asyncio.wait_for(a_loop(world).run(fence), 60)
    assert stopped.group_contains(LeadershipLost)
    assert world.entry(wished.uuid).place_revision == 0


async def test_the_next_leader_counts_what_the_one_before_gave(world: World, fence: Fence) -> None:
    await world.node("n1", millicpus=1000)
    first, second = wish(), wish()
    async with scheduling(world, fence):
        await world.wish(first)
        await placed(world, first.uuid)
    async with scheduling(world, fence):
        await world.wish(second)
        assert (await placed(world, second.uuid)).node == ""


async def running(world: World) -> ContainerRecord:
    """A placed container with nothing left to do."""
    wished = wish()
    await world.wish(wished)
    await placed(world, wished.uuid)
    done = msgspec.structs.replace(wished, intents=[])
    await world.wish(done)
    return done


def resized(wished: ContainerRecord, n: int, *, cpu: float | None = None, memory: int | None = None) -> ContainerRecord:
    """The wish with the new spec and the resize that waits."""
    changes = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    intent = Intent(n, Verb.RESIZE, f"req-{n}", T0, cpu=cpu, memory=memory)
    new = msgspec.structs.replace(wished.spec, **changes)
    return msgspec.structs.replace(wished, spec=new, seq=n, intents=[*wished.intents, intent])


def decided(world: World, uuid: str) -> int:
    place = world.entry(uuid).place()
    return place.resize_done if place is not None else 0


def claim_of(world: World, uuid: str) -> Claim:
    place = world.entry(uuid).place()
    return place.claim if place is not None else Claim()
