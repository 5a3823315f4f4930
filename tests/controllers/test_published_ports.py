# SPDX-License-Identifier: Apache-2.0
"""Ports of nodes: given to one container only, kept as long as it is there, given back once."""

import asyncio

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from controllers.stage import Meddling, time_goes_by, until, wish
from controllers.test_address_properties import another_leads, remove
from controllers.test_own_networks import LAB, asks, leaves
from controllers.test_own_networks import net as on_network
from controllers.test_reaping_loop import reaping
from controllers.test_scheduling_loop import inbox, placed, scheduling
from support.records import T0, spec
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.model.attachments import PublishedPort
from zun.model.moving import Leaving, LeavingKind, Resume
from zun.model.networks import CNI, subnet_of
from zun.model.records import ContainerRecord, Intent, NameClaim, NodeRecord, Place, SeenState, Verb
from zun.store import codec, keys
from zun.store.fencing import Fence
from zun.store.interface import Put
from zun.store.memory import MemoryStore

CAPABLE = ["networks", "publish"]


def publishing(*ports: PublishedPort, **fields: object) -> ContainerRecord:
    return wish(spec=spec(published_ports=list(ports), **fields))


def web(host_port: int = 8080, port: int = 80) -> PublishedPort:
    return PublishedPort(host_port=host_port, port=port)


async def a_node(world: World, name: str, **fields: object) -> None:
    told: dict[str, object] = {"capabilities": CAPABLE, "publish_address": "192.0.2.7"}
    await world.node(name, **(told | fields))


async def claims(world: World) -> dict[str, str]:
    found = await world.store.range(keys.HOST_PORTS)
    return {item.key.removeprefix(keys.HOST_PORTS): codec.decode(NameClaim, item.value).uuid for item in found.items}


def decided(place: Place) -> list[tuple[int, int]]:
    return [(one.host_port, one.port) for one in place.published]


async def test_the_port_that_was_asked_for_is_had_and_its_node_is_told_where(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    wished = publishing(web(), PublishedPort(host_port=5353, port=53, protocol="udp"))
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.published == [
        PublishedPort(host_port=8080, port=80, host_address="192.0.2.7"),
        PublishedPort(host_port=5353, port=53, protocol="udp", host_address="192.0.2.7"),
    ]
    assert await claims(world) == dict.fromkeys(("n1/tcp/8080", "n1/udp/5353"), wished.uuid)
    told = await inbox(world, "n1", wished.uuid)
    assert (told.published, told.attachments) == (place.published, None)


async def test_on_networks_of_the_service_the_first_interface_publishes(world: World, fence: Fence) -> None:
    await world.put(keys.network("lab"), LAB)
    await a_node(world, "n1", capabilities=[CNI, *CAPABLE], networks=[], publish_address="0.0.0.0")
    wished = publishing(web(), nets=[on_network("lab")])
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    told = await inbox(world, "n1", wished.uuid)
    assert told.published == []
    assert [one.published for one in told.attachments or ()] == [(web(),)]
    assert [one.published for one in place.attachments or ()] == [()], "it is written down once"


async def test_the_network_that_published_ports_lead_to_cannot_be_detached(world: World, fence: Fence) -> None:
    await world.put(keys.network("lab"), LAB)
    await a_node(world, "n1", capabilities=[CNI, *CAPABLE], networks=[], publish_address="0.0.0.0")
    wished = publishing(web(), nets=[on_network("lab")])
    async with scheduling(world, fence):
        await world.wish(wished)
        await placed(world, wished.uuid)
        await world.sees(wished.uuid, SeenState.RUNNING)
        number = await asks(world, wished.uuid, Verb.NETWORK_DETACH, "lab")
        told = await inbox(world, "n1", wished.uuid)
    assert "Published ports lead to network lab" in told.refused[number]
    assert [one.published for one in told.attachments or ()] == [(web(),)]


@pytest.mark.parametrize(
    ("gateways", "publish_address", "fits"),
    [
        (("10.1.0.1", "fd00:1::1"), "127.0.0.1", True),
        (("", "fd00:1::1"), "127.0.0.1", False),
        (("", "fd00:1::1"), "2001:db8::7", True),
        (("", "fd00:1::1"), "0.0.0.0", True),
        (("", ""), "0.0.0.0", False),
    ],
)
async def test_a_port_is_published_only_where_it_can_lead_to_the_network(
    world: World, fence: Fence, gateways: tuple[str, str], publish_address: str, *, fits: bool
) -> None:
    subnets = tuple(subnet_of(one.cidr, gateway) for one, gateway in zip(LAB.subnets, gateways, strict=True))
    await world.put(keys.network("lab"), msgspec.structs.replace(LAB, subnets=subnets))
    await a_node(world, "n1", capabilities=[CNI, *CAPABLE], networks=[], publish_address=publish_address)
    wished = publishing(web(), nets=[on_network("lab")])
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert bool(place.node) is fits
    if place.failure is not None:
        assert f"its ports cannot lead to the network ({publish_address}" in place.failure.detail


async def test_a_port_of_each_node_is_had_once_and_then_it_is_said_to_be_taken(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    await a_node(world, "n2")
    wishes = [publishing(web()) for _ in range(3)]
    async with scheduling(world, fence):
        for one in wishes:
            await world.wish(one)
        places = [await placed(world, one.uuid) for one in wishes]
    assert sorted(place.node for place in places) == ["", "n1", "n2"]
    (refused,) = [place for place in places if place.failure is not None]
    assert refused.failure is not None
    assert "2 of 2 nodes: a port is published there already (8080/tcp)" in refused.failure.detail
    assert set(await claims(world)) == {"n1/tcp/8080", "n2/tcp/8080"}


async def test_the_same_number_is_another_port_of_another_protocol(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    one, other = publishing(web(5353)), publishing(PublishedPort(host_port=5353, port=53, protocol="udp"))
    async with scheduling(world, fence):
        for each in (one, other):
            await world.wish(each)
            assert (await placed(world, each.uuid)).node == "n1"


async def test_who_names_no_port_gets_those_that_are_free_until_none_is_left(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    async with scheduling(world, fence, chosen_ports="3000-3001,3005"):
        both, one, late = publishing(web(0), web(0, 81)), publishing(web(0)), publishing(web(0))
        for each in (both, one, late):
            await world.wish(each)
        numbers = [number for each in (both, one) for number, _ in decided(await placed(world, each.uuid))]
        place = await placed(world, late.uuid)
    assert sorted(numbers) == [3000, 3001, 3005]
    assert place.failure is not None
    assert "a port is published there already (none is left to choose)" in place.failure.detail


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"capabilities": ["networks"]}, "its engine cannot do what is needed (publish)"),
        ({"publish_address": ""}, "its engine cannot do what is needed (publish)"),
        ({"publish_address": "somewhere"}, "its engine cannot do what is needed (publish)"),
        ({"stream_address": "192.0.2.7:8080"}, "a port is published there already (8080/tcp)"),
    ],
)
async def test_a_node_that_cannot_or_needs_the_port_itself_is_passed_over(
    world: World, fence: Fence, fields: dict[str, object], words: str
) -> None:
    await a_node(world, "n1", **fields)
    wished = publishing(web())
    async with scheduling(world, fence):
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.failure is not None
    assert words in place.failure.detail


async def test_a_port_that_somebody_took_at_the_same_moment_is_not_given_again(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    wished = publishing(web())
    faster = Put(keys.host_port("n1", "tcp", 8080), codec.encode(NameClaim("somebody")))
    meddling = Meddling(world.store, keys.place(wished.uuid), faster)
    leading = Fence(meddling, world.clock, fence.leadership)  # type: ignore[arg-type]
    async with scheduling(world, leading), time_goes_by(world.clock):  # type: ignore[arg-type]
        await world.wish(wished)
        place = await placed(world, wished.uuid)
    assert place.failure is not None
    assert await claims(world) == {"n1/tcp/8080": "somebody"}


async def test_a_container_that_moves_has_the_same_port_on_the_next_node_and_the_former_is_free(
    world: World, fence: Fence
) -> None:
    await a_node(world, "n1")
    wished = publishing(web(0), auto_heal=True)
    async with scheduling(world, fence):
        await world.wish(wished)
        before = await placed(world, wished.uuid)
        ((number, _),) = decided(before)
        await world.sees(wished.uuid, SeenState.RUNNING, guarded=True, started_at=1.0)
        await a_node(world, "n2", publish_address="127.0.0.1")
        other = publishing(web(number), host="n2")
        await world.wish(other)
        assert (await placed(world, other.uuid)).node == "n2"
        await leaves(world, wished.uuid, "n1")
        await until(world, lambda: cannot_leave(world, wished.uuid))
        await a_node(world, "n3", publish_address="0.0.0.0")
        await until(world, lambda: world.entry(wished.uuid).node == "n3")
    after = world.entry(wished.uuid).place()
    assert after is not None
    assert after.published == [web(number)]
    assert await claims(world) == {f"n3/tcp/{number}": wished.uuid, f"n2/tcp/{number}": other.uuid}


def cannot_leave(world: World, uuid: str) -> bool:
    place = world.entry(uuid).place()
    return place is not None and place.failure is not None and "a port is published" in place.failure.detail


async def test_without_a_node_it_holds_no_port_and_asks_for_the_same_again(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    wished = publishing(web(0), auto_heal=True)
    async with scheduling(world, fence):
        await world.wish(wished)
        ((number, _),) = decided(await placed(world, wished.uuid))
        await world.sees(wished.uuid, SeenState.GONE, ran=True)
        await world.put(keys.node("n1"), NodeRecord(node="n1", number=1, created_at=T0, disabled=True))
        order = Resume("n1", LeavingKind.DRAINED, "req-move", T0)
        await leaves(world, wished.uuid, "n1", kind=LeavingKind.DRAINED, order=order)
        await until(world, lambda: not world.entry(wished.uuid).node)
        assert await claims(world) == {}
        await a_node(world, "n3")
        await until(world, lambda: world.entry(wished.uuid).node == "n3")
    assert await claims(world) == {f"n3/tcp/{number}": wished.uuid}


async def test_while_it_is_told_to_leave_nobody_else_gets_its_port_where_it_goes(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    leaver = publishing(web(), auto_heal=True)
    async with scheduling(world, fence):
        await world.wish(leaver)
        await placed(world, leaver.uuid)
        await world.sees(leaver.uuid, SeenState.RUNNING, guarded=True, started_at=1.0)
        await a_node(world, "n2")
        place = world.entry(leaver.uuid).place()
        assert place is not None
        leaving = Leaving(LeavingKind.DRAINED, T0, "req-move")
        await world.put(keys.place(leaver.uuid), msgspec.structs.replace(place, leaving=leaving))
        await until(world, lambda: is_ordered(world, leaver.uuid))
        other = publishing(web(), host="n2")
        await world.wish(other)
        place = await placed(world, other.uuid)
        assert place.failure is not None
        await world.sees(leaver.uuid, SeenState.GONE, ran=True)
        await until(world, lambda: world.entry(leaver.uuid).node == "n2")
    assert await claims(world) == {"n2/tcp/8080": leaver.uuid}


def is_ordered(world: World, uuid: str) -> bool:
    place = world.entry(uuid).place()
    return place is not None and place.leaving is not None and place.leaving.order is not None


async def test_the_reaper_gives_a_port_back_and_the_next_one_may_have_it(world: World, fence: Fence) -> None:
    await a_node(world, "n1")
    first, second = publishing(web()), publishing(web())
    async with scheduling(world, fence), reaping(world, fence):
        await world.wish(first)
        await placed(world, first.uuid)
        gone = world.entry(first.uuid).record()
        gone.intents, gone.seq = [Intent(3, Verb.DELETE, "req-3", T0)], 3
        await world.put(keys.container(first.uuid), gone)
        await world.sees(first.uuid, SeenState.GONE)
        await until(world, lambda: world.view.container(first.uuid) is None)
        assert await claims(world) == {}
        await world.wish(second)
        assert (await placed(world, second.uuid)).node == "n1"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.lists(st.sampled_from([0, 0, 3000, 3001, 8080]), min_size=1, max_size=2)),
        st.tuples(st.just("remove"), st.integers(0, 100)),
        st.tuples(st.just("another leads"), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
async def test_whoever_leads_and_whatever_is_created_and_removed_no_port_has_two_owners(
    steps: list[tuple[str, object]],
) -> None:
    """Leaders overlap: the one that was replaced goes on until it notices."""
    clock = ManualClock()
    async with world_on(MemoryStore(clock), clock) as world, asyncio.TaskGroup() as tasks:
        await a_node(world, "n1")
        await a_node(world, "n2")
        leaders: list[asyncio.Task[None]] = []
        alive: list[str] = []
        for what, argument in [("another leads", None), *steps, ("another leads", None)]:
            if what == "another leads":
                leaders.append(await another_leads(world, tasks, chosen_ports="3000-3002"))
            elif what == "create":
                assert isinstance(argument, list)
                one = publishing(*(web(number, port) for port, number in enumerate(argument, 80)))
                alive.append(one.uuid)
                await world.wish(one)
            elif alive and isinstance(argument, int):
                await remove(world, alive.pop(argument % len(alive)))
            await asyncio.sleep(0)
        held: dict[str, str] = {}
        for uuid in alive:
            place = await placed(world, uuid)
            for port in place.published if place.node else ():
                key = f"{place.node}/{port.protocol}/{port.host_port}"
                assert held.setdefault(key, uuid) == uuid
        await until(world, lambda: len(list(world.view.containers())) == len(alive))
        assert await claims(world) == held
        for leader in leaders:
            leader.cancel()
