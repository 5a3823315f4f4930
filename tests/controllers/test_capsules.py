# SPDX-License-Identifier: Apache-2.0
"""Capsules in the leader's hands: placed as one, where everything they need is, and cleared away with everything they took."""

import msgspec

from controllers.stage import until
from controllers.test_reaping_loop import reaping
from controllers.test_scheduling_loop import placed, scheduling
from support.records import T0, spec
from support.world import World
from zun.drivers.runtime.types import Capability
from zun.model.children import Child, ImageSource, RecordKind
from zun.model.container import Mount
from zun.model.probes import Probe, Probes
from zun.model.records import ContainerRecord, ImageWish, Inbox, Intent, Observation, SeenState, Usage, Verb
from zun.store import codec, keys
from zun.store.fencing import Fence

UUID = "00000000-0000-4000-8000-000000000001"
MINE = "committed.zun.local/p1/mine:v1"
CAPABLE = [str(one) for one in Capability]


def capsule(*intents: Intent, image: str = "docker.io/library/busybox:latest", **first: object) -> ContainerRecord:
    children = [
        Child("c1", spec(name="one", cpu=0.5, memory=64, **first), ImageSource(image)),
        Child("c2", spec(name="two", cpu=0.25, memory=32), ImageSource("docker.io/library/busybox:latest")),
    ]
    return ContainerRecord(
        UUID,
        "p1",
        "u1",
        spec(name="shop", image="", cpu=0.75, memory=96),
        T0,
        T0,
        seq=1 + len(intents),
        intents=[Intent(1, Verb.CREATE, "req-1", T0), *intents],
        kind=RecordKind.CAPSULE,
        children=children,
    )


async def test_a_capsule_is_placed_as_one_with_all_its_containers_in_the_inbox(world: World, fence: Fence) -> None:
    await world.node("n1", capabilities=CAPABLE)
    async with scheduling(world, fence):
        await world.wish(capsule())
        place = await placed(world, UUID)
    assert (place.node, place.claim.millicpus, place.claim.memory_mib) == ("n1", 750, 96)
    stored = await world.store.get(keys.inbox("n1", UUID))
    assert stored is not None
    entry = codec.decode(Inbox, stored.value)
    assert (entry.kind, [child.uuid for child in entry.children]) == (RecordKind.CAPSULE, ["c1", "c2"])


async def test_only_nodes_with_capsules_get_any_and_the_refusal_says_so(world: World, fence: Fence) -> None:
    await world.node("n1", capabilities=[one for one in CAPABLE if one != Capability.CAPSULES])
    async with scheduling(world, fence):
        await world.wish(capsule())
        place = await placed(world, UUID)
        assert place.failure is not None
        assert "capsules" in place.failure.detail


async def test_what_one_container_needs_all_of_them_go_by(world: World, fence: Fence) -> None:
    await world.node("n1", capabilities=[one for one in CAPABLE if one != Capability.VOLUMES])
    await world.node("n2", capabilities=CAPABLE)
    async with scheduling(world, fence):
        await world.wish(capsule(mounts=[Mount("/data", "data")]))
        assert (await placed(world, UUID)).node == "n2"


async def test_one_in_a_sandbox_goes_where_sandboxes_hold_several_containers(world: World, fence: Fence) -> None:
    runtimes = ["runc", "runsc"]
    some = [one for one in CAPABLE if one != Capability.SANDBOXED_CAPSULES]
    await world.node("n1", capabilities=some, runtimes=runtimes)
    await world.node("n2", capabilities=CAPABLE, runtimes=runtimes)
    wished = capsule()
    for one in (wished.spec, *(child.spec for child in wished.children)):
        one.runtime = "runsc"
    async with scheduling(world, fence):
        await world.wish(wished)
        assert (await placed(world, UUID)).node == "n2"


async def test_one_with_probes_goes_where_somebody_can_ask(world: World, fence: Fence) -> None:
    await world.node("n1", capabilities=[one for one in CAPABLE if one != Capability.HEALTH])
    await world.node("n2", capabilities=CAPABLE)
    probed = capsule()
    probed.children[0] = msgspec.structs.replace(probed.children[0], probes=Probes(liveness=Probe(tcp=80)))
    async with scheduling(world, fence):
        await world.wish(probed)
        assert (await placed(world, UUID)).node == "n2"
    stored = await world.store.get(keys.inbox("n2", UUID))
    assert stored is not None
    assert codec.decode(Inbox, stored.value).children == probed.children


async def test_a_capsule_goes_where_its_committed_images_lie(world: World, fence: Fence) -> None:
    for node in ("n1", "n2", "n3"):
        await world.node(node, capabilities=CAPABLE)
    source = ImageSource(MINE, "never")
    await world.put(keys.image("i1"), ImageWish("i1", "p1", "u1", "n3", "mine", "v1", T0, source, committed=True))
    async with scheduling(world, fence):
        await world.wish(capsule(image=MINE))
        assert (await placed(world, UUID)).node == "n3"


async def test_a_capsule_that_is_gone_gives_everything_back_once(world: World, fence: Fence) -> None:
    await world.node("n1", capabilities=CAPABLE)
    await world.put(keys.quota("p1"), Usage(containers=3, millicpus=1750, memory=608))
    await world.wish(capsule(Intent(2, Verb.DELETE, "req-2", T0, force=True)))
    await world.place(UUID)
    gone = [Observation(uuid, 1, SeenState.GONE) for uuid in ("c1", "c2")]
    await world.sees(UUID, SeenState.GONE, children=gone)
    async with reaping(world, fence):
        await until(world, lambda: world.view.container(UUID) is None)
    assert world.view.usage("p1")[0] == Usage(containers=1, millicpus=1000, memory=512)
    assert await world.store.get(keys.inbox("n1", UUID)) is None
    assert world.view.child("c1") is None


async def test_a_container_that_is_gone_by_itself_does_not_take_its_capsule_along(world: World, fence: Fence) -> None:
    await world.node("n1", capabilities=CAPABLE)
    await world.wish(capsule())
    await world.place(UUID)
    told = [Observation("c1", 1, SeenState.GONE), Observation("c2", 1, SeenState.RUNNING)]
    async with reaping(world, fence):
        await world.sees(UUID, SeenState.RUNNING, children=told)
        await world.node("n2")
    assert world.view.container(UUID) is not None
