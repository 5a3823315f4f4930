# SPDX-License-Identifier: Apache-2.0
"""Hosts, services and zones: what is shown, the switches, registration."""

import asyncio

import pytest

from support.desk import context
from support.records import node_info, record, spec
from support.world import World
from zun.base.ids import new_uuid
from zun.model.errors import Conflict, Denied, NotFound
from zun.policy.enforcer import Policy
from zun.services.node_registration import Newcomer, NodeRegistration
from zun.services.nodes import BINARY, NodeService
from zun.services.optimistic import OptimisticWriter
from zun.store import keys

ADMIN = context(admin=True)


@pytest.fixture
def nodes(empty_world: World) -> NodeService:
    """The service in a world without nodes."""
    writer = OptimisticWriter(empty_world.store, empty_world.view, empty_world.clock)
    return NodeService(empty_world.view, Policy(), writer, empty_world.clock)


@pytest.fixture
def registration(empty_world: World) -> NodeRegistration:
    """What makes nodes known there."""
    return NodeRegistration(empty_world.store, empty_world.clock)


def newcomer(name: str, key: str) -> Newcomer:
    """A node that asks to be known."""
    return Newcomer(name, new_uuid(), key)


async def a_node(world: World, name: str) -> None:
    """Register it and let it report."""
    await NodeRegistration(world.store, world.clock).register(newcomer(name, f"key of {name}"))
    await world.put(keys.node_info(name), node_info(name))
    await world.node_returns(name)


async def test_a_node_registers_once_and_keeps_its_switches(
    nodes: NodeService, registration: NodeRegistration, empty_world: World
) -> None:
    first = await registration.register(newcomer("n1", "aa"))
    await nodes.disable(ADMIN, "n1", BINARY, "broken fan")
    revision = empty_world.view.revision
    again = await registration.register(newcomer("n1", "aa"))
    assert (again.number, again.disabled_reason, empty_world.view.revision) == (first.number, "broken fan", revision)
    renewed = await registration.register(newcomer("n1", "bb"))
    assert (renewed.public_key, renewed.disabled, renewed.created_at) == ("bb", True, first.created_at)


async def test_nodes_that_register_at_once_get_different_numbers_never_given_again(
    nodes: NodeService, registration: NodeRegistration
) -> None:
    made = await asyncio.gather(*(registration.register(newcomer(f"n{i}", "k")) for i in range(5)))
    assert sorted(one.number for one in made) == [1, 2, 3, 4, 5]
    await nodes.delete(ADMIN, next(one.node for one in made if one.number == 5), BINARY)
    assert (await registration.register(newcomer("n9", "k"))).number == 6


async def test_a_host_shows_what_containers_take_of_it(nodes: NodeService, empty_world: World) -> None:
    await a_node(empty_world, "n1")
    await a_node(empty_world, "n2")
    for _ in range(2):
        wished = record(spec=spec(cpu=1.5, memory=300, disk=2))
        await empty_world.wish(wished)
        await empty_world.place(wished.uuid, "n1")
    first, second = await nodes.hosts(ADMIN)
    assert (first.info.node, first.cpu_used, first.memory_used_mib, first.disk_used_gib) == ("n1", 3.0, 600, 4)
    assert (first.total_containers, first.alive, first.pins_cpus) == (2, True, False)
    assert (second.cpu_used, second.total_containers) == (0.0, 0)


async def test_a_host_is_found_by_name_and_by_uuid(nodes: NodeService, empty_world: World) -> None:
    await a_node(empty_world, "n1")
    uuid = node_info("n1").uuid
    assert (await nodes.host(ADMIN, "n1")).info.uuid == uuid
    assert (await nodes.host(ADMIN, uuid.upper())).info.node == "n1"
    with pytest.raises(NotFound) as refused:
        await nodes.host(ADMIN, "n9")
    assert refused.value.code == "compute-node-not-found"


async def test_a_service_is_up_while_it_reports_and_nobody_declared_it_down(
    nodes: NodeService, empty_world: World
) -> None:
    await a_node(empty_world, "n1")
    (service,) = await nodes.services(ADMIN)
    assert (service.up, service.report_count, service.last_seen_up) == (True, 1, node_info("n1").at)
    await nodes.force_down(ADMIN, "n1", BINARY, forced_down=True)
    assert not (await nodes.services(ADMIN))[0].up
    await nodes.force_down(ADMIN, "n1", BINARY, forced_down=False)
    assert (await nodes.services(ADMIN))[0].up
    await empty_world.node_dies("n1")
    assert not (await nodes.services(ADMIN))[0].up


async def test_a_disabled_service_says_why_until_it_is_enabled(nodes: NodeService, empty_world: World) -> None:
    await a_node(empty_world, "n1")
    disabled = await nodes.disable(ADMIN, "n1", BINARY, "broken fan")
    assert (disabled.disabled, disabled.disabled_reason) == (True, "broken fan")
    enabled = await nodes.enable(ADMIN, "n1", BINARY)
    assert (enabled.disabled, enabled.disabled_reason) == (False, None)


@pytest.mark.parametrize(("host", "binary"), [("n9", BINARY), ("n1", "zun-api")])
async def test_an_unknown_service_is_not_found(nodes: NodeService, empty_world: World, host: str, binary: str) -> None:
    await a_node(empty_world, "n1")
    for refused in (
        nodes.enable(ADMIN, host, binary),
        nodes.disable(ADMIN, host, binary),
        nodes.force_down(ADMIN, host, binary, forced_down=True),
        nodes.delete(ADMIN, host, binary),
    ):
        with pytest.raises(NotFound) as error:
            await refused
        assert error.value.code == "zun-service-not-found"


async def test_a_service_with_containers_is_not_deleted(nodes: NodeService, empty_world: World) -> None:
    await a_node(empty_world, "n1")
    wished = record()
    await empty_world.wish(wished)
    await empty_world.place(wished.uuid, "n1")
    with pytest.raises(Conflict, match="still containers on n1"):
        await nodes.delete(ADMIN, "n1", BINARY)


async def test_of_a_dead_node_that_is_deleted_nothing_stays(nodes: NodeService, empty_world: World) -> None:
    await a_node(empty_world, "n1")
    await empty_world.node_dies("n1")
    await nodes.delete(ADMIN, "n1", BINARY)
    assert await nodes.services(ADMIN) == []
    assert await nodes.hosts(ADMIN) == []
    assert (await empty_world.store.range(keys.node_prefix("n1"))).items == ()


async def test_zones_are_those_of_the_nodes_and_anybody_may_ask(nodes: NodeService, empty_world: World) -> None:
    assert await nodes.zones(context()) == []
    await a_node(empty_world, "n1")
    await a_node(empty_world, "n2")
    assert await nodes.zones(context()) == ["nova"]


async def test_all_but_zones_is_for_admins(nodes: NodeService) -> None:
    for refused in (
        nodes.hosts(context()),
        nodes.host(context(), "n1"),
        nodes.services(context()),
        nodes.enable(context(), "n1", BINARY),
        nodes.disable(context(), "n1", BINARY),
        nodes.force_down(context(), "n1", BINARY, forced_down=True),
        nodes.delete(context(), "n1", BINARY),
    ):
        with pytest.raises(Denied):
            await refused
