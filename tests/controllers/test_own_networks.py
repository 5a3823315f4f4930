# SPDX-License-Identifier: Apache-2.0
"""Addresses on networks of the control plane: given out once, kept as long as the container lives, given back once."""

import msgspec

from controllers.stage import Meddling, time_goes_by, until, wish
from controllers.test_reaping_loop import reaping
from controllers.test_scheduling_loop import inbox, placed, scheduling
from support.records import T0, spec
from support.world import World
from zun.model.attachments import Port
from zun.model.container import NetRequest
from zun.model.inbox import inbox_of
from zun.model.moving import Leaving, LeavingKind, Resume
from zun.model.networks import CNI, NetworkRecord, subnet_of
from zun.model.records import ContainerRecord, Intent, NameClaim, NodeRecord, Place, SeenState, Verb
from zun.store import codec, keys
from zun.store.fencing import Fence
from zun.store.interface import Put

CAPABLE = [CNI, "networks"]


def network(name: str, *cidrs: str, **fields: object) -> NetworkRecord:
    subnets = tuple(subnet_of(cidr) for cidr in cidrs)
    given: dict[str, object] = {"project_id": "p1", "user_id": "u", "created_at": 1.0, "subnets": subnets}
    return NetworkRecord(uuid=f"id-{name}", name=name, **(given | fields))


LAB = network("lab", "10.1.0.0/24", "fd00:1::/64")


def on(*nets: NetRequest, exposed_ports: list[str] | None = None, **fields: object) -> ContainerRecord:
    return wish(spec=spec(nets=list(nets), exposed_ports=exposed_ports or []), **fields)


def net(name: str, v4: str | None = None, v6: str | None = None) -> NetRequest:
    return NetRequest(name, v4_fixed_ip=v4, v6_fixed_ip=v6, id=f"id-{name}")


async def laboratory(world: World, *networks: NetworkRecord) -> None:
    for one in networks or (LAB,):
        await world.put(keys.network(one.name), one)
    await world.node("n1", capabilities=CAPABLE, networks=[])


async def claims(world: World) -> dict[str, str]:
    found = await world.store.range(keys.ADDRESSES)
    return {item.key.removeprefix(keys.ADDRESSES): codec.decode(NameClaim, item.value).uuid for item in found.items}


def claimed(key: str) -> str:
    return key.removeprefix(keys.ADDRESSES)


def addresses(place: Place) -> list[list[str]]:
    return [[address.addr for address in one.addresses] for one in place.attachments or ()]


async def test_a_container_gets_addresses_of_each_version_and_its_node_is_told(world: World, fence: Fence) -> None:
    await laboratory(world, LAB, network("other", "10.2.0.0/24"))
    await world.node("engine")
    wished = on(net("lab"), net("other"))
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.node == "n1"
    assert addresses(place) == [["10.1.0.2", "fd00:1::2"], ["10.2.0.2"]]
    assert [one.ifname for one in place.attachments or ()] == ["eth0", "eth1"]
    assert len({one.mac for one in place.attachments or ()}) == 2
    assert await claims(world) == dict.fromkeys(
        ("id-lab/10.1.0.2", "id-lab/fd00:1::2", "id-other/10.2.0.2"), wished.uuid
    )
    assert (await inbox(world, "n1", wished.uuid)).attachments == place.attachments


async def test_a_fixed_address_is_had_once(world: World, fence: Fence) -> None:
    await laboratory(world)
    first, second = on(net("lab", v4="10.1.0.9")), on(net("lab", v4="10.1.0.9"))
    async with scheduling(world, fence):
        await world.wish(first)
        assert addresses(await placed(world, first.uuid)) == [["10.1.0.9", "fd00:1::2"]]
        await world.wish(second)
        place = await placed(world, second.uuid)
    assert place.failure is not None
    assert "a requested address is taken (10.1.0.9)" in place.failure.detail


async def test_a_network_that_is_full_is_said_to_be(world: World, fence: Fence) -> None:
    await laboratory(world, network("small", "10.3.0.0/30"))
    first, second = on(net("small")), on(net("small"))
    async with scheduling(world, fence):
        await world.wish(first)
        await placed(world, first.uuid)
        await world.wish(second)
        place = await placed(world, second.uuid)
    assert place.failure is not None
    assert "no address is free (small)" in place.failure.detail


async def test_nobody_gets_onto_another_projects_network(world: World, fence: Fence) -> None:
    await laboratory(world, network("theirs", "10.4.0.0/24", project_id="p2"))
    wished = on(net("theirs"))
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.failure is not None
    assert await claims(world) == {}


async def test_who_names_no_network_is_on_the_default_one(world: World, fence: Fence) -> None:
    await laboratory(world)
    mine, stranger = on(), on(project_id="p2")
    async with scheduling(world, fence):
        await world.wish(mine)
        assert addresses(await placed(world, mine.uuid)) == [["10.1.0.2", "fd00:1::2"]]
        await world.wish(stranger)
        place = await placed(world, stranger.uuid)
        assert place.failure is not None
        assert "lacks a requested network (none was named" in place.failure.detail
        await world.node("engine")
        other = on(project_id="p2")
        await world.wish(other)
        place = await placed(world, other.uuid)
    assert (place.node, place.attachments, place.addresses) == ("engine", None, [])


async def leaves(world: World, uuid: str, node: str, **fields: object) -> None:
    """Its node is lost for long enough (or `fields` say how it leaves)."""
    life = await world.write(Put(keys.node_life(node), b"{}"))
    place = world.entry(uuid).place()
    assert place is not None
    if not fields:
        await world.node_dies(node)
    leaving = msgspec.structs.replace(Leaving(LeavingKind.LOST, T0, "req-move"), **(fields or {"lost_life": life}))
    await world.put(keys.place(uuid), msgspec.structs.replace(place, leaving=leaving))


async def test_a_container_that_moves_keeps_its_addresses_whatever_its_old_node_says(
    world: World, fence: Fence
) -> None:
    await laboratory(world, LAB, network("theirs", "10.4.0.0/24", project_id="p2"))
    wished = wish(spec=spec(nets=[net("lab")], auto_heal=True))
    async with scheduling(world, fence):
        await world.wish(wished)
        before = await placed(world, wished.uuid)
        lie = [net("theirs")]
        await world.sees(wished.uuid, SeenState.RUNNING, guarded=True, started_at=1.0, networks=lie)
        await world.node("n2", capabilities=CAPABLE, networks=[])
        await leaves(world, wished.uuid, "n1")
        await until(world, lambda: world.entry(wished.uuid).node == "n2")
    after = world.entry(wished.uuid).place()
    assert after is not None
    assert (after.attachments, after.addresses) == (before.attachments, before.addresses)
    assert await claims(world) == dict.fromkeys(map(claimed, before.addresses), wished.uuid)


async def test_a_container_without_a_node_keeps_its_addresses_until_it_is_deleted(world: World, fence: Fence) -> None:
    await laboratory(world)
    wished = wish(spec=spec(nets=[net("lab")], auto_heal=True))
    async with scheduling(world, fence):
        await world.wish(wished)
        before = await placed(world, wished.uuid)
        await world.sees(wished.uuid, SeenState.GONE, ran=True)
        await world.put(keys.node("n1"), NodeRecord(node="n1", number=1, created_at=T0, disabled=True))
        order = Resume("n1", LeavingKind.DRAINED, "req-move", T0)
        await leaves(world, wished.uuid, "n1", kind=LeavingKind.DRAINED, order=order)
        await until(world, lambda: not world.entry(wished.uuid).node)
        await world.node("n3", capabilities=CAPABLE, networks=[])
        other = on(net("lab"))
        await world.wish(other)
        assert addresses(await placed(world, other.uuid)) == [["10.1.0.3", "fd00:1::3"]]
        await until(world, lambda: world.entry(wished.uuid).node == "n3")
    after = world.entry(wished.uuid).place()
    assert after is not None
    assert after.attachments == before.attachments


async def asks(world: World, uuid: str, verb: Verb, name: str, **fields: object) -> int:
    """Services add one more intent; its number."""
    record, place = world.entry(uuid).record(), world.entry(uuid).place()
    assert place is not None
    record.seq += 1
    told: dict[str, object] = {"network": name, "network_id": f"id-{name}"}
    record.intents = [*record.intents, Intent(record.seq, verb, f"req-{record.seq}", T0, **(told | fields))]  # type: ignore[arg-type]
    inbox_now = Put(keys.inbox(place.node, uuid), codec.encode(inbox_of(record, place)))
    await world.write(Put(keys.container(uuid), codec.encode(record)), inbox_now)
    assert all(intent.n != record.seq for intent in inbox_of(record, place).intents), "it waits for the leader"
    await until(world, lambda: decided(world, uuid) >= record.seq)
    return record.seq


def decided(world: World, uuid: str) -> int:
    place = world.entry(uuid).place()
    return place.networks_done if place is not None else 0


async def test_one_more_network_comes_with_an_address_and_one_less_gives_it_back_when_the_node_says_so(
    world: World, fence: Fence
) -> None:
    await laboratory(world, LAB, network("other", "10.2.0.0/24"))
    wished = on(net("lab"), exposed_ports=["80", "53/udp"])
    async with scheduling(world, fence):
        await world.wish(wished)
        await placed(world, wished.uuid)
        await world.sees(wished.uuid, SeenState.RUNNING)
        attached = await asks(world, wished.uuid, Verb.NETWORK_ATTACH, "other", fixed_ip="10.2.0.9")
        told = await inbox(world, "n1", wished.uuid)
        assert [intent.n for intent in told.intents][-1] == attached
        assert [one.ifname for one in told.attachments or ()] == ["eth0", "eth1"]
        assert {one.exposed for one in told.attachments or ()} == {(Port(80), Port(53, "udp"))}
        assert (await claims(world))["id-other/10.2.0.9"] == wished.uuid
        await world.sees(wished.uuid, SeenState.RUNNING)
        left = await asks(world, wished.uuid, Verb.NETWORK_DETACH, "lab")
        assert [one.network for one in (await inbox(world, "n1", wished.uuid)).attachments or ()] == ["id-other"]
        assert (await claims(world))["id-lab/10.1.0.2"] == wished.uuid, "its node may still be on it"
        await world.sees(wished.uuid, SeenState.RUNNING, done=left)
        await until(world, lambda: not detached(world, wished.uuid))
    place = world.entry(wished.uuid).place()
    assert place is not None
    assert await claims(world) == {"id-other/10.2.0.9": wished.uuid}
    assert place.addresses == [keys.address("id-other", "10.2.0.9")]


def detached(world: World, uuid: str) -> dict[int, list[str]]:
    place = world.entry(uuid).place()
    return place.detached if place is not None else {}


async def test_what_cannot_be_attached_is_refused_with_the_reason_which_the_node_is_told(
    world: World, fence: Fence
) -> None:
    theirs = network("theirs", "10.4.0.0/24", project_id="p2")
    await laboratory(world, LAB, theirs, network("small", "10.3.0.0/30"))
    one, other = on(net("lab")), on(net("small"))
    async with scheduling(world, fence):
        for wished in (one, other):
            await world.wish(wished)
            await placed(world, wished.uuid)
            await world.sees(wished.uuid, SeenState.RUNNING)
        for verb, name, fields, reason in (
            (Verb.NETWORK_ATTACH, "theirs", {}, "not there"),
            (Verb.NETWORK_ATTACH, "lab", {}, "already"),
            (Verb.NETWORK_ATTACH, "small", {}, "no free address"),
            (Verb.NETWORK_DETACH, "small", {}, "not on network small"),
        ):
            number = await asks(world, one.uuid, verb, name, **fields)
            told = await inbox(world, "n1", one.uuid)
            assert reason in told.refused[number]
        number = await asks(world, other.uuid, Verb.NETWORK_ATTACH, "lab", fixed_ip="10.1.0.2")
        assert "taken" in (await inbox(world, "n1", other.uuid)).refused[number]
    assert len(await claims(world)) == 3


async def test_the_reaper_gives_addresses_back_and_they_are_given_out_again_last(world: World, fence: Fence) -> None:
    await laboratory(world, network("small", "10.3.0.0/29"))
    first, second = on(net("small")), on(net("small"))
    async with scheduling(world, fence), reaping(world, fence):
        for one in (first, second):
            await world.wish(one)
            await placed(world, one.uuid)
        gone = world.entry(first.uuid).record()
        gone.intents, gone.seq = [Intent(3, Verb.DELETE, "req-3", T0)], 3
        await world.put(keys.container(first.uuid), gone)
        await world.sees(first.uuid, SeenState.GONE)
        await until(world, lambda: world.view.container(first.uuid) is None)
        assert set((await claims(world)).values()) == {second.uuid}
        given_out = []
        for _ in range(4):
            one = on(net("small"))
            await world.wish(one)
            given_out += addresses(await placed(world, one.uuid))
    assert given_out == [["10.3.0.4"], ["10.3.0.5"], ["10.3.0.6"], ["10.3.0.2"]]


async def test_a_network_that_is_being_removed_at_the_same_moment_gives_out_nothing(world: World, fence: Fence) -> None:
    await laboratory(world)
    wished = on(net("lab"))
    closing = Put(keys.network("lab"), codec.encode(msgspec.structs.replace(LAB, closing=True)))
    meddling = Meddling(world.store, keys.place(wished.uuid), closing)
    leading = Fence(meddling, world.clock, fence.leadership)  # type: ignore[arg-type]
    async with scheduling(world, leading), time_goes_by(world.clock):  # type: ignore[arg-type]
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.failure is not None
    assert "lacks a requested network (lab)" in place.failure.detail
    assert await claims(world) == {}


async def test_an_address_that_somebody_has_of_whom_nothing_is_known_is_passed_over(world: World, fence: Fence) -> None:
    await laboratory(world)
    await world.put(keys.address("id-lab", "10.1.0.2"), NameClaim("somebody"))
    wished = on(net("lab"))
    async with scheduling(world, fence), time_goes_by(world.clock):  # type: ignore[arg-type]
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert addresses(place)[0][0] == "10.1.0.3"
    assert (await claims(world))["id-lab/10.1.0.2"] == "somebody"
