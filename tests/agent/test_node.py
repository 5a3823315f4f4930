# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself, who it is, and what its names mean."""

from pathlib import Path

import pytest
from agent_records import C1, NODE, inbox, intent, run_intents
from agent_world import World

from zun.agent.fingerprinting import dedicated_cpus
from zun.agent.identity import load_identity
from zun.agent.request import volume_name
from zun.model.errors import Internal, Invalid
from zun.model.moving import AliveRecord
from zun.model.records import NodeInfo, SeenState, Verb
from zun.store import codec, keys


async def info(world: World) -> NodeInfo:
    stored = await world.store.get(keys.node_info(NODE))
    assert stored is not None
    return codec.decode(NodeInfo, stored.value)


async def test_a_node_says_what_containers_may_use(world: World) -> None:
    await world.start(dedicated_cpus="6-7", cpu_allocation_ratio=2.0, ram_allocation_ratio=1.0)
    found = await info(world)
    assert (found.cpus, found.dedicated_cpus, found.shared_cpus) == (8, [6, 7], [0, 1, 2, 3, 4, 5])
    assert found.millicpus == 6 * 2 * 1000 + 2 * 1000
    assert found.memory_mib == 32 * 1024 - 512
    assert found.uuid == load_identity(world.state_dir).uuid
    reports = found.reports
    await world.settle(130)
    assert (await info(world)).reports == reports + 2


async def test_a_network_that_an_operator_made_is_told_within_seconds(world: World) -> None:
    await world.start(look_seconds=5.0)
    world.engine.add_network("shopnet", "10.20.0.0/24")
    await world.settle(6)
    assert "shopnet" in [network.name for network in (await info(world)).networks]


async def test_a_node_is_alive_while_its_agent_is(world: World) -> None:
    await world.start()
    await world.settle(100)
    assert await world.store.get(keys.node_alive(NODE)) is not None


async def test_a_stopped_agent_counts_as_alive_for_the_grace_it_announced(world: World) -> None:
    await world.start(restart_grace_seconds=60)
    await world.stop()
    found = await world.store.get(keys.node_alive(NODE))
    assert found is not None
    assert codec.decode(AliveRecord, found.value).restarting
    await world.settle(59)
    assert await world.store.get(keys.node_alive(NODE)) is not None
    await world.settle(2)
    assert await world.store.get(keys.node_alive(NODE)) is None


async def test_a_restarted_agent_takes_the_place_of_what_it_announced(world: World) -> None:
    await world.start(restart_grace_seconds=60)
    await world.restart()
    await world.settle(200)
    found = await world.store.get(keys.node_alive(NODE))
    assert found is not None
    assert not codec.decode(AliveRecord, found.value).restarting


async def test_without_a_grace_a_stopped_agent_says_goodbye(world: World) -> None:
    await world.start(restart_grace_seconds=0)
    await world.stop()
    assert await world.store.get(keys.node_alive(NODE)) is None


@pytest.mark.parametrize(("text", "found"), [("", []), ("3", [3]), ("2-3, 6", [2, 3, 6]), ("1,1-2", [1, 2])])
async def test_lists_of_cpus_are_read(text: str, found: list[int]) -> None:
    assert dedicated_cpus(text, 8) == found


@pytest.mark.parametrize("text", ["a", "3-", "-3", "5-2", "8", "1;2"])
async def test_lists_of_cpus_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="dedicated_cpus"):
        dedicated_cpus(text, 8)


async def test_a_node_stays_who_it_is(tmp_path: Path) -> None:
    identity = load_identity(tmp_path)
    assert load_identity(tmp_path) == identity
    (tmp_path / "node.json").write_text("{")
    with pytest.raises(Internal, match="backup"):
        load_identity(tmp_path)


async def test_no_two_projects_can_mean_the_same_volume() -> None:
    names = {
        volume_name(project, name)
        for project, name in [("a", "b-c"), ("a-b", "c"), ("11111111111111111111111111111111", "c"), ("A", "c")]
    }
    assert len(names) == 4
    assert volume_name("11111111111111111111111111111111", "data") == "zun-11111111111111111111111111111111-data"
    for wrong in ("", "../x", "a/b", ".x", "a b"):
        with pytest.raises(Invalid):
            volume_name("a", wrong)


async def test_only_so_many_results_of_a_living_container_are_kept(world: World) -> None:
    await world.start(kept_results=16)
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    for number in range(3, 43):
        await world.ask(intent(number, Verb.PAUSE if number % 2 else Verb.UNPAUSE))
        await world.done(f"req-{number}")
    await world.settle(2)
    kept = (await world.store.range(keys.action_results(NODE, C1))).items
    assert len(kept) == 16
    assert await world.result("req-42") is not None
