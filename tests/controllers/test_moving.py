# SPDX-License-Identifier: Apache-2.0
"""The one transaction of a move rests on what makes it safe; whoever is faster than it wins."""

import pytest

from controllers.stage import Meddling, until, wish
from controllers.test_scheduling_loop import MASTER, placed, scheduling, settled
from support.records import spec
from support.world import World
from zun.base.sealing import NodeKey
from zun.model.moving import AliveRecord, Leaving, LeavingKind
from zun.model.records import Inbox, NameClaim, NodeRecord, Place, SeenState, Verb
from zun.store import codec, keys
from zun.store.fencing import Fence
from zun.store.interface import Op, Put

ALIVE = Put(keys.node_alive("n1"), codec.encode(AliveRecord()))
LIFE = Put(keys.node_life("n1"), b"{}")


async def lost(world: World, **fields: object) -> tuple[str, Place]:
    """A running container whose node `n1` is lost for long enough, while `n2` could have it."""
    await world.node("n1")
    await world.node("n2")
    life = await world.write(LIFE)
    wished = wish(Verb.CREATE, Verb.START, spec=spec(auto_heal=True, **fields))
    await world.wish(wished)
    await world.place(wished.uuid, "n1", heal_delay_seconds=60.0, guarded=True)
    await world.sees(wished.uuid, SeenState.RUNNING, guarded=True, started_at=1.0)
    await world.node_dies("n1")
    place = world.entry(wished.uuid).place()
    assert place is not None
    place.leaving = Leaving(LeavingKind.LOST, world.clock.now(), "req-move", lost_life=life)
    await world.put(keys.place(wished.uuid), place)
    return wished.uuid, place


async def inbox_of(world: World, node: str, uuid: str) -> Inbox | None:
    found = await world.store.get(keys.inbox(node, uuid))
    return codec.decode(Inbox, found.value) if found is not None else None


async def test_a_lost_container_is_placed_elsewhere_and_its_old_node_finds_the_order(
    world: World, fence: Fence
) -> None:
    uuid, before = await lost(world)
    async with scheduling(world, fence):
        await until(world, lambda: world.entry(uuid).node == "n2")
    place = world.entry(uuid).place()
    assert place is not None
    assert (place.generation, place.leaving) == (before.generation + 1, None)
    assert place.resume is not None
    assert (place.resume.origin, place.resume.intent_done, place.resume.run) == ("n1", 2, True)
    old, new = await inbox_of(world, "n1", uuid), await inbox_of(world, "n2", uuid)
    assert old is not None
    assert (old.absent, old.generation, old.intents) == (True, before.generation, [])
    assert new is not None
    assert (new.absent, new.generation, new.resume) == (False, place.generation, place.resume)


@pytest.mark.parametrize(
    "faster", [ALIVE, LIFE], ids=["it takes its lease", "it took its lease and was lost again meanwhile"]
)
async def test_a_node_that_returns_in_the_last_moment_keeps_its_containers(
    world: World, fence: Fence, faster: Op
) -> None:
    uuid, _ = await lost(world)
    meddling = Meddling(world.store, keys.place(uuid), faster)
    async with scheduling(world, Fence(meddling, world.clock, fence.leadership)):  # type: ignore[arg-type]
        await until(world, lambda: world.view.revision > world.entry(uuid).revision)
        await settled(world)
    assert world.entry(uuid).node == "n1"
    order = await inbox_of(world, "n1", uuid)
    assert order is not None
    assert not order.absent


async def test_files_are_sealed_for_the_next_node_and_taken_from_the_old_one(
    world: World, fence: Fence, node_key: NodeKey
) -> None:
    uuid, _ = await lost(world)
    record = world.entry(uuid).record()
    record.files = 1
    await world.wish(record)
    await world.write(
        Put(keys.stage(uuid, 0), MASTER.encrypt(b"secret")),
        Put(keys.blob("n1", uuid, 0), b"sealed for n1"),
        Put(keys.node("n2"), codec.encode(NodeRecord("n2", 2, 0.0, public_key=node_key.public))),
    )
    async with scheduling(world, fence):
        await until(world, lambda: world.entry(uuid).node == "n2")
    sealed = await world.store.get(keys.blob("n2", uuid, 0))
    assert sealed is not None
    assert node_key.open(sealed.value) == b"secret"
    assert await world.store.get(keys.blob("n1", uuid, 0)) is None
    assert await world.store.get(keys.stage(uuid, 0)) is not None  # it may have to move once more


async def test_what_is_staged_for_a_container_that_never_moves_is_forgotten(
    world: World, fence: Fence, node_key: NodeKey
) -> None:
    await world.node("n1")
    await world.write(Put(keys.node("n1"), codec.encode(NodeRecord("n1", 1, 0.0, public_key=node_key.public))))
    kept, forgotten = wish(files=1, spec=spec(auto_heal=True)), wish(files=1)
    for one in (kept, forgotten):
        await world.write(Put(keys.stage(one.uuid, 0), MASTER.encrypt(b"secret")))
    async with scheduling(world, fence):
        for one in (kept, forgotten):
            await world.wish(one)
            await placed(world, one.uuid)
    assert await world.store.get(keys.stage(kept.uuid, 0)) is not None
    assert await world.store.get(keys.stage(forgotten.uuid, 0)) is None


async def test_addresses_go_back_and_new_ones_are_claimed(world: World, fence: Fence) -> None:
    uuid, place = await lost(world)
    address = keys.address("n1:lab", "10.9.0.7")
    place.addresses = [address]
    await world.write(Put(address, codec.encode(NameClaim(uuid))), Put(keys.place(uuid), codec.encode(place)))
    async with scheduling(world, fence):
        await until(world, lambda: world.entry(uuid).node == "n2")
    assert await world.store.get(address) is None


async def test_the_delay_is_fixed_when_a_container_is_placed(world: World, fence: Fence) -> None:
    await world.node("n1")
    healing, other = wish(spec=spec(auto_heal=True)), wish()
    async with scheduling(world, fence):
        for one in (healing, other):
            await world.wish(one)
            await placed(world, one.uuid)
    for one, guarded in ((healing, True), (other, False)):
        place = world.entry(one.uuid).place()
        assert place is not None
        assert (place.heal_delay_seconds, place.guarded) == (60.0, guarded)
        entry = await inbox_of(world, "n1", one.uuid)
        assert entry is not None
        assert entry.heal_delay_seconds == 60.0
