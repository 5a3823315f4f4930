# SPDX-License-Identifier: Apache-2.0
"""Containers on networks of the control plane: plugged in before they are made, let go of after they are gone."""

import asyncio

import msgspec
import pytest
from agent_capsules import APP, WAITS, Capsules, capsule
from agent_crashes import Crashes
from agent_records import C1, inbox, intent, run_intents, uuid_of
from agent_world import World

from support.network_machine import network_attachment
from support.records import node_info
from zun.agent.plugs import Plugs
from zun.drivers.network.fake import FakeNetworks
from zun.model.attachments import PublishedPort, SandboxNetwork, sandbox_key
from zun.model.errors import Unavailable
from zun.model.networks import CNI
from zun.model.records import Inbox, NodeInfo, SeenState, Verb
from zun.model.states import Status
from zun.store import codec, keys

KEY = sandbox_key(C1, 1)
FIRST = network_attachment(1, 1)


def on(wanted: Inbox, *attachments: object) -> Inbox:
    return msgspec.structs.replace(wanted, attachments=list(attachments) or [FIRST])


async def plugged_world(world: World) -> FakeNetworks:
    world.networks = FakeNetworks()
    await world.start()
    return world.networks


async def test_a_node_says_what_it_plugs_into(world: World) -> None:
    await plugged_world(world)
    stored = await world.store.get(keys.node_info("node-1"))
    assert stored is not None
    info = codec.decode(NodeInfo, stored.value)
    assert CNI in info.capabilities
    assert info.networks == []


async def test_a_node_says_of_its_engine_what_it_can_do_and_nothing_of_its_networks() -> None:
    info = node_info(capabilities=["capsules", "exec"])
    assert {"capsules", "exec", CNI} <= set(Plugs(FakeNetworks()).described(info).capabilities)
    assert Plugs(None).described(info) == msgspec.structs.replace(info, publish_address="127.0.0.1")


async def test_a_node_offers_published_ports_where_it_has_an_address_for_them() -> None:
    able, unable = node_info(capabilities=["publish"]), node_info(capabilities=[])
    assert Plugs(None, "192.0.2.7").described(able).publish_address == "192.0.2.7"
    assert "publish" in Plugs(FakeNetworks()).described(unable).capabilities, "whatever its engine can"
    assert "publish" not in Plugs(None).described(unable).capabilities
    assert "publish" not in Plugs(FakeNetworks(), "").described(able).capabilities


async def test_the_engine_publishes_where_it_plugs_in_and_the_ports_are_shown(world: World) -> None:
    await world.start()
    wanted = inbox(C1, *run_intents(), exposed_ports=["53/udp"])
    wanted.published = [PublishedPort(host_port=8080, port=80)]
    await world.wish(wanted)
    seen = await world.until(SeenState.RUNNING)
    assert world.engine.published == {("tcp", 8080): seen.runtime_id}
    assert seen.ports == [53, 80]
    await world.ask(intent(3, Verb.STOP))
    await world.until(SeenState.EXITED)
    assert world.engine.published == {}
    await world.ask(intent(4, Verb.REBUILD, run=True))
    again = await world.until(SeenState.RUNNING, intent_done=4)
    assert world.engine.published == {("tcp", 8080): again.runtime_id}


async def test_a_port_that_something_else_has_is_an_error_that_says_so(world: World) -> None:
    await world.start()
    world.engine.published = {("tcp", 8080): "somebody"}
    wanted = inbox(C1, *run_intents())
    wanted.published = [PublishedPort(host_port=8080, port=80)]
    await world.wish(wanted)
    result = await world.done("req-run")
    assert result.message is not None
    assert "Port 8080/tcp of this node is in use" in result.message


async def test_ports_that_zun_cni_publishes_are_none_of_the_engines_business(world: World) -> None:
    await plugged_world(world)
    published = msgspec.structs.replace(FIRST, published=(PublishedPort(host_port=8080, port=80),))
    await world.wish(on(inbox(C1, *run_intents()), published))
    await world.until(SeenState.RUNNING)
    assert (world.only().request.published, world.only().request.exposed_ports) == ((), ["80/tcp"])


async def test_the_interfaces_are_known_before_the_container_is_made_and_gone_after_it(world: World) -> None:
    networks = await plugged_world(world)
    await world.wish(on(inbox(C1, *run_intents()), FIRST))
    await world.until(SeenState.RUNNING)
    assert networks.sandboxes == {KEY: SandboxNetwork(KEY, (FIRST,))}
    assert world.only().request.unplugged
    await world.ask(intent(3, Verb.STOP), intent(4, Verb.REBUILD, run=True))
    await world.done("req-4")
    assert set(networks.sandboxes) == {KEY}
    await world.ask(intent(5, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert networks.sandboxes == {}


async def test_a_container_is_not_made_when_its_network_cannot_be_prepared(world: World) -> None:
    networks = await plugged_world(world)
    networks.failure = Unavailable("The disk is full; make room.")
    await world.wish(on(inbox(C1, *run_intents())))
    result = await world.done("req-run")
    assert result.message == "The disk is full; make room."
    assert world.objects() == []


async def test_what_the_daemon_cannot_undo_now_is_undone_later(world: World) -> None:
    networks = await plugged_world(world)
    await world.wish(on(inbox(C1, *run_intents())))
    await world.until(SeenState.RUNNING)
    networks.failure = Unavailable("It is away.")
    await world.ask(intent(3, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert set(networks.sandboxes) == {KEY}
    await world.unwish()
    await world.settle(world.options.sync_seconds + 5)
    assert networks.sandboxes == {}


async def test_a_new_life_of_the_agent_lets_go_of_what_is_nobodys(world: World) -> None:
    networks = await plugged_world(world)
    await world.wish(on(inbox(C1, *run_intents())))
    await world.until(SeenState.RUNNING)
    await world.stop()
    stray = sandbox_key(uuid_of(9), 1)
    await networks.prepare(SandboxNetwork(stray, (network_attachment(1, 9),)))
    await world.start()
    await world.settle()
    assert set(networks.sandboxes) == {KEY}


async def test_a_container_whose_place_and_node_do_not_agree_is_not_made_without_a_network(world: World) -> None:
    await plugged_world(world)
    await world.wish(inbox(C1, *run_intents()))
    result = await world.done("req-run")
    assert result.message is not None
    assert "placed here when other networks were used" in result.message
    other = uuid_of(2)
    world.networks = None
    await world.restart()
    await world.wish(on(inbox(other, *run_intents())))
    result = await world.done("req-run", uuid=other)
    assert result.message is not None
    assert world.objects(other) == []


async def test_a_network_is_attached_and_detached_as_the_place_has_it(world: World) -> None:
    networks = await plugged_world(world)
    second = network_attachment(2, 1, ifname="eth1")
    await world.wish(on(inbox(C1, *run_intents()), FIRST))
    await world.until(SeenState.RUNNING)
    attach = intent(3, Verb.NETWORK_ATTACH, network="net2", network_id="net2")
    await world.wish(on(inbox(C1, attach), FIRST, second))
    assert (await world.done("req-3")).message is None
    assert networks.sandboxes[KEY].attachments == (FIRST, second)
    detach = intent(4, Verb.NETWORK_DETACH, network="net1", network_id="net1")
    await world.wish(on(inbox(C1, detach), second))
    assert (await world.done("req-4")).message is None
    assert networks.sandboxes[KEY].attachments == (second,)


async def test_what_the_leader_refused_fails_with_its_words_and_changes_nothing(world: World) -> None:
    networks = await plugged_world(world)
    await world.wish(on(inbox(C1, *run_intents()), FIRST))
    await world.until(SeenState.RUNNING)
    attach = intent(3, Verb.NETWORK_ATTACH, network="net2", network_id="net2")
    refused = msgspec.structs.replace(on(inbox(C1, attach), FIRST), refused={3: "Network net2 has no free address."})
    await world.wish(refused)
    result = await world.done("req-3")
    assert (result.message, result.error_status) == ("Network net2 has no free address.", 409)
    assert networks.sandboxes[KEY].attachments == (FIRST,)
    assert await world.state() is SeenState.RUNNING


async def test_a_capsules_sandbox_is_known_before_it_is_made_and_its_containers_are_on_its_network(
    world: World,
) -> None:
    networks, capsules = await plugged_world(world), Capsules(world)
    await capsules.wish(on(capsule(WAITS, WAITS, init=["true"]), FIRST))
    await capsules.becomes(Status.RUNNING)
    assert networks.sandboxes == {KEY: SandboxNetwork(KEY, (FIRST,))}
    sandbox = world.engine.sandboxes[capsules.sandbox()]
    assert sandbox.request.unplugged
    assert sandbox.request.addresses == ("10.1.0.2", "fd00:1::2")
    assert sandbox.request.networks == ()
    assert {found.request.sandbox for found in capsules.objects()} == {capsules.sandbox()}
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert networks.sandboxes == {}


async def test_a_lost_sandbox_is_made_anew_on_the_same_interfaces(world: World) -> None:
    networks, capsules = await plugged_world(world), Capsules(world)
    await capsules.wish(on(capsule(WAITS), FIRST))
    await capsules.becomes(Status.RUNNING)
    before = capsules.sandbox()
    world.engine.end_sandbox(before)
    networks.sandboxes.clear()
    await world.settle(30)
    await capsules.becomes(Status.RUNNING)
    assert capsules.sandbox() != before
    assert networks.sandboxes == {KEY: SandboxNetwork(KEY, (FIRST,))}


async def test_a_capsule_is_tried_again_while_its_network_cannot_be_prepared(world: World) -> None:
    networks, capsules = await plugged_world(world), Capsules(world)
    networks.failure = Unavailable("The daemon is away.")
    await capsules.wish(on(capsule(WAITS), FIRST))
    await capsules.becomes(Status.ERROR)
    assert world.engine.sandboxes == {}
    await capsules.becomes(Status.RUNNING)


async def test_a_capsule_whose_place_and_node_do_not_agree_is_not_made(world: World) -> None:
    await plugged_world(world)
    capsules = Capsules(world)
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.ERROR)
    result = await world.done("req-1")
    assert "placed here when other networks were used" in (result.message or "")
    await world.settle(60)
    assert world.engine.sandboxes == {}


async def test_a_capsules_network_that_cannot_be_given_back_now_is_given_back_later(world: World) -> None:
    networks, capsules = await plugged_world(world), Capsules(world)
    await capsules.wish(on(capsule(WAITS), FIRST))
    await capsules.becomes(Status.RUNNING)
    networks.failure = Unavailable("It is away.")
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert set(networks.sandboxes) == {KEY}
    await world.unwish()
    await world.settle(world.options.sync_seconds + 5)
    assert networks.sandboxes == {}


async def test_a_sandbox_that_nobody_wishes_goes_with_its_network(world: World) -> None:
    networks, capsules = await plugged_world(world), Capsules(world)
    await capsules.wish(on(capsule(WAITS), FIRST))
    await capsules.becomes(Status.RUNNING)
    await world.stop()
    await world.unwish()
    await world.start()
    await world.settle(world.options.sync_seconds + 5)
    assert world.engine.sandboxes == {}
    assert networks.sandboxes == {}


@pytest.mark.parametrize("at", range(1, 40))
async def test_a_crash_at_any_step_keeps_the_capsules_network_and_leaves_none(world: World, at: int) -> None:
    networks, capsules = FakeNetworks(), Capsules(world)
    world.crashes = Crashes(at)
    world.networks = world.crashes.around(networks)
    await capsules.wish(on(capsule(WAITS), FIRST))
    world.agent = world.make_agent()
    world.task = asyncio.ensure_future(world.agent.run())
    crashed = await world.crashed(20)
    world.crashes, world.networks = None, networks
    if not crashed:
        await world.stop()
    await world.start()
    await capsules.becomes(Status.RUNNING)
    assert networks.sandboxes == {KEY: SandboxNetwork(KEY, (FIRST,))}
    assert (await capsules.one(APP)).restarts == 0
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert networks.sandboxes == {}
