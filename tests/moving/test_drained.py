# SPDX-License-Identifier: Apache-2.0
"""Emptying a node, and declaring one down that still works."""

from moving.cloud import Cloud
from support.desk import context
from zun.model.container import Mount
from zun.model.records import Verb
from zun.model.states import Status
from zun.policy.enforcer import Policy
from zun.services.node_overview import NodeDetail, NodeOverview


async def overview(cloud: Cloud, name: str) -> NodeDetail:
    return await NodeOverview(cloud.view, Policy()).show(context(admin=True), name)


async def test_a_drained_node_gives_away_what_heals_and_says_why_the_rest_stays(cloud: Cloud) -> None:
    healing = [await cloud.create() for _ in range(8)]
    for uuid in healing:
        await cloud.running(uuid)
    home = cloud.node_of(healing[0])
    fixed = await cloud.create(heal=False)
    with_volume = await cloud.create(mounts=[Mount(destination="/data", source="data")])
    for uuid in (fixed, with_volume):
        await cloud.running(uuid)
    there = [uuid for uuid in (fixed, with_volume) if cloud.node_of(uuid) == home]
    await cloud.drain(home)
    await cloud.until(lambda: not any(cloud.node_of(uuid) == home for uuid in healing), "what heals has left")
    for uuid in healing:
        await cloud.running(uuid)
        assert len(cloud.homes(uuid)) == 1
    found = await overview(cloud, home)
    assert found.drained
    assert sorted(one.uuid for one in found.staying) == sorted(there)
    reasons = {fixed: "auto_heal is off", with_volume: "it has a volume, which lies on this node"}
    assert {one.uuid: one.reason for one in found.staying} == {uuid: reasons[uuid] for uuid in there}
    after = await cloud.create()
    assert await cloud.running(after) != home
    assert await cloud.orders() == []


async def test_only_so_many_are_on_their_way_at_once(cloud: Cloud) -> None:
    uuids = [await cloud.create() for _ in range(24)]
    for uuid in uuids:
        await cloud.running(uuid)
    home = cloud.node_of(uuids[0])
    at_once = 0
    changes = cloud.view.subscribe()
    await cloud.drain(home)
    while any(cloud.node_of(uuid) == home for uuid in uuids):
        await changes.batch()
        at_once = max(at_once, sum(cloud.entry(uuid).may_be_leaving for uuid in uuids))
    assert at_once == 2


async def test_a_container_that_no_other_node_can_have_goes_on_where_it_is(cloud: Cloud) -> None:
    uuids = [await cloud.create(memory=40_000) for _ in range(4)]
    for uuid in uuids:
        await cloud.running(uuid)
    uuid = uuids[0]
    home = cloud.node_of(uuid)
    await cloud.drain(home)
    await cloud.pass_time(30)
    assert cloud.status(uuid) is Status.RUNNING
    assert cloud.homes(uuid) == [home]
    reason = cloud.derived(uuid).reason or ""
    assert reason.startswith(
        f"Node {home} is drained, and no other can have the container: 3 of 4 nodes: not enough memory"
    )
    found = await overview(cloud, home)
    assert not found.drained
    assert [one.reason for one in found.movable] == [reason.partition("the container: ")[2]]
    await cloud.delete(uuids[1])
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves once there is room")
    await cloud.running(uuid)


async def test_undraining_calls_off_what_has_not_begun(cloud: Cloud) -> None:
    uuids = [await cloud.create(memory=40_000) for _ in range(4)]
    for uuid in uuids:
        await cloud.running(uuid)
    home = cloud.node_of(uuids[0])
    await cloud.drain(home)
    await cloud.pass_time(5)
    await cloud.undrain(home)
    await cloud.until(lambda: not cloud.entry(uuids[0]).may_be_leaving, "it stays")
    assert cloud.derived(uuids[0]).reason is None
    await cloud.delete(uuids[1])
    await cloud.pass_time(30)
    assert cloud.node_of(uuids[0]) == home


async def test_a_node_that_dies_while_it_is_drained_is_lost_like_any_other(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    cloud.machines[home].freeze_agent()
    await cloud.drain(home)
    await cloud.pass_time(5)
    await cloud.machines[home].power_off()
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=100)
    await cloud.running(uuid)
    cloud.machines[home].power_on()
    await cloud.until(lambda: cloud.objects()[uuid] == 1, "the old object is removed")
    await cloud.pass_time(2)
    assert await cloud.orders() == []


async def test_a_node_declared_down_that_still_works_gives_its_containers_away(cloud: Cloud) -> None:
    healed, kept = await cloud.create(), await cloud.create(heal=False)
    home = await cloud.running(healed)
    await cloud.running(kept)
    await cloud.force_down(home)
    await cloud.until(lambda: cloud.node_of(healed) != home, "it moves")
    other = await cloud.running(healed)
    assert cloud.homes(healed) == [other]
    if cloud.node_of(kept) == home:
        assert cloud.status(kept) is Status.UNKNOWN
        assert cloud.homes(kept) == [home]


async def test_a_move_keeps_the_networks_that_a_container_was_plugged_into(cloud: Cloud) -> None:
    for machine in cloud.machines.values():
        machine.engine.add_network("shop", "10.30.0.0/24")
    await cloud.pass_time(10)
    uuid = await cloud.create()
    home = await cloud.running(uuid)

    await cloud.containers.act(context(), cloud.entry(uuid), Verb.NETWORK_ATTACH, network="shop")
    await cloud.until(lambda: "shop" in networks(cloud, uuid), "it is on the network")
    before = networks(cloud, uuid)
    await cloud.drain(home)
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves")
    await cloud.running(uuid)
    assert networks(cloud, uuid) == before


def networks(cloud: Cloud, uuid: str) -> set[str]:
    seen = cloud.entry(uuid).seen()
    return {address.network for address in seen.addresses} if seen is not None else set()
