# SPDX-License-Identifier: Apache-2.0
"""What becomes of containers whose node is lost, and of the node when it returns, seen from outside."""

import pytest

from moving.cloud import DELAY, Cloud
from support.desk import context
from zun.model.container import RestartPolicy
from zun.model.creation import ContainerChanges
from zun.model.errors import Unavailable
from zun.model.records import SeenState, Verb
from zun.model.states import Status

SOON = 5.0
MARGIN = 10.0


async def test_a_lost_node_gives_its_containers_away_once(cloud: Cloud) -> None:
    healed, kept = await cloud.create(), await cloud.create(heal=False)
    home = await cloud.running(healed)
    await cloud.running(kept)
    await cloud.machines[home].power_off()
    await cloud.until(lambda: cloud.status(healed) is Status.UNKNOWN, "it is unknown", seconds=15)
    reason = cloud.derived(healed).reason or ""
    assert reason.startswith(f"Node {home} is lost; the container moves to another at ")
    await cloud.until(lambda: cloud.node_of(healed) != home, "it moves", seconds=DELAY + SOON)
    other = await cloud.running(healed)
    assert cloud.homes(healed) == [other]
    place = cloud.entry(healed).place()
    assert place is not None
    assert place.generation == 2
    assert cloud.status(kept) is (Status.UNKNOWN if cloud.node_of(kept) == home else Status.RUNNING)


async def test_a_node_that_is_cut_off_stops_what_may_run_elsewhere_and_removes_it_when_it_returns(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    cloud.machines[home].cable.cut()
    cut_at = cloud.clock.monotonic()
    await cloud.until(lambda: not cloud.homes(uuid), "it stops by itself", seconds=DELAY - MARGIN + 1)
    assert cloud.clock.monotonic() - cut_at > DELAY - MARGIN - 5
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=30)
    other = await cloud.running(uuid)
    await cloud.pass_time(100)
    assert cloud.homes(uuid) == [other]
    cloud.machines[home].cable.mend()
    await cloud.until(lambda: cloud.objects()[uuid] == 1, "the old object is removed")
    await cloud.pass_time(5)
    assert cloud.homes(uuid) == [other]
    assert await cloud.orders() == []
    assert [key for key in await cloud.keys("/zun/v/out/") if uuid in key and f"/{home}/" in key] == []


async def test_a_node_that_is_cut_off_for_a_moment_keeps_everything_running(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    (before,) = (one.started_at for one in cloud.machines[home].running())
    cloud.machines[home].cable.cut()
    await cloud.pass_time(DELAY - MARGIN - 10)
    assert cloud.status(uuid) is Status.UNKNOWN
    cloud.machines[home].cable.mend()
    await cloud.running(uuid)
    await cloud.pass_time(2 * DELAY)
    assert cloud.node_of(uuid) == home
    assert [one.started_at for one in cloud.machines[home].running()] == [before]


async def test_what_stopped_itself_and_was_not_moved_is_started_again_by_its_node(cloud: Cloud) -> None:
    """All nodes are cut off: nobody moves anything, but no node can know that."""
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    for machine in cloud.machines.values():
        machine.cable.cut()
    await cloud.pass_time(2 * DELAY)
    assert cloud.homes(uuid) == []
    for machine in cloud.machines.values():
        machine.cable.mend()
    assert await cloud.running(uuid) == home
    assert cloud.homes(uuid) == [home]


async def test_what_its_user_stopped_is_not_started_by_a_move(cloud: Cloud) -> None:
    uuid = await cloud.create(run=False)
    await cloud.until(lambda: cloud.status(uuid) is Status.CREATED, "it is made")
    home = cloud.node_of(uuid)
    await cloud.machines[home].power_off()
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=100)
    await cloud.until(lambda: cloud.status(uuid) is Status.CREATED, "it is made there")
    await cloud.pass_time(30)
    assert cloud.homes(uuid) == []
    assert cloud.objects()[uuid] == 2  # the dead machine's disk still has the old one


@pytest.mark.parametrize("returns", [True, False])
async def test_the_watchdog_stops_what_a_frozen_agent_cannot(cloud: Cloud, returns: bool) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    cloud.machines[home].freeze_agent()
    await cloud.until(lambda: not cloud.homes(uuid), "it is stopped", seconds=DELAY - MARGIN + 2)
    if returns:
        cloud.machines[home].thaw_agent()
        assert await cloud.running(uuid) == home
        return
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=30)
    other = await cloud.running(uuid)
    cloud.machines[home].thaw_agent()
    await cloud.until(lambda: cloud.objects()[uuid] == 1, "the old object is removed")
    assert cloud.homes(uuid) == [other]


async def test_the_watchdog_stops_what_a_dead_agent_cannot(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    await cloud.machines[home].kill_agent()
    await cloud.pass_time(DELAY - MARGIN - 5)
    assert cloud.homes(uuid) == [home]
    await cloud.until(lambda: not cloud.homes(uuid), "it is stopped", seconds=7)
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=30)


async def test_an_agent_that_was_killed_and_comes_back_in_time_finds_everything_running(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    (before,) = (one.started_at for one in cloud.machines[home].running())
    await cloud.machines[home].kill_agent()
    await cloud.pass_time(30)
    cloud.machines[home].start_agent()
    await cloud.pass_time(2 * DELAY)
    assert cloud.status(uuid) is Status.RUNNING
    assert [one.started_at for one in cloud.machines[home].running()] == [before]


async def test_a_container_that_the_watchdog_stopped_is_started_by_the_next_agent(cloud: Cloud) -> None:
    """It ended with 137 and its policy is `no`: only the watchdog's note says that it is to run."""
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    for machine in cloud.machines.values():
        if machine.name != home:
            await machine.stop_agent()  # so many are gone that nothing moves
            await machine.power_off()
    await cloud.machines[home].kill_agent()
    await cloud.until(lambda: not cloud.homes(uuid), "it is stopped", seconds=DELAY)
    await cloud.pass_time(2 * DELAY)
    cloud.machines[home].start_agent()
    assert await cloud.running(uuid) == home


async def test_a_planned_restart_leaves_containers_running(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    (before,) = (one.started_at for one in cloud.machines[home].running())
    await cloud.machines[home].stop_agent()
    await cloud.pass_time(25)
    assert cloud.status(uuid) is Status.RUNNING
    cloud.machines[home].start_agent()
    await cloud.pass_time(2 * DELAY)
    assert cloud.status(uuid) is Status.RUNNING
    assert [one.started_at for one in cloud.machines[home].running()] == [before]
    assert cloud.entry(uuid).place().generation == 1  # type: ignore[union-attr]


async def test_an_agent_that_does_not_return_from_its_restart_is_lost_later(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    await cloud.machines[home].stop_agent()
    grace = 30
    await cloud.pass_time(grace + DELAY - MARGIN - 2)
    assert cloud.homes(uuid) == [home]
    await cloud.until(lambda: not cloud.homes(uuid), "its watchdog stops it", seconds=4)
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=MARGIN + SOON)


async def test_a_machine_that_slept_stops_at_once_what_was_moved_meanwhile(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    cloud.machines[home].sleep()
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=100)
    other = await cloud.running(uuid)
    cloud.machines[home].wake()
    await cloud.pass_time(3)
    assert cloud.homes(uuid) == [other]
    await cloud.until(lambda: cloud.objects()[uuid] == 1, "the old object is removed")


async def test_a_rebooted_machine_starts_nothing_before_it_removed_what_was_moved(cloud: Cloud) -> None:
    moved = await cloud.create()
    home = await cloud.running(moved)
    for _ in range(8):
        await cloud.running(await cloud.create(heal=False, restart_policy=RestartPolicy("always")))
    await cloud.machines[home].power_off()
    await cloud.until(lambda: cloud.node_of(moved) != home, "it moves", seconds=100)
    await cloud.running(moved)
    engine = cloud.machines[home].engine
    engine.faults.fail("remove", Unavailable("The engine is busy."), times=8)
    starts = engine.faults.calls["start"]
    cloud.machines[home].power_on()

    def removed() -> bool:
        still_there = cloud.objects()[moved] == 2
        assert not still_there or engine.faults.calls["start"] == starts
        return not still_there

    await cloud.until(removed, "the old object is removed")
    await cloud.until(lambda: engine.faults.calls["start"] > starts, "the others are started again")


async def test_nothing_moves_when_many_nodes_vanish_at_once_and_it_goes_on_when_they_are_back(cloud: Cloud) -> None:
    uuids = [await cloud.create() for _ in range(8)]
    for uuid in uuids:
        await cloud.running(uuid)
    gone = ["n1", "n2"]
    for name in gone:
        await cloud.machines[name].power_off()
    here = {uuid: cloud.node_of(uuid) for uuid in uuids}
    await cloud.pass_time(3 * DELAY)
    assert {uuid: cloud.node_of(uuid) for uuid in uuids} == here
    lost = next(uuid for uuid in uuids if here[uuid] == "n1")
    assert cloud.derived(lost).reason == "Node n1 is lost, and so many others are that nothing moves until some return."
    cloud.machines["n2"].power_on()
    await cloud.pass_time(DELAY - 5)
    assert cloud.node_of(lost) == "n1"  # who is still away is given the whole delay again
    await cloud.until(lambda: all(cloud.node_of(uuid) != "n1" for uuid in uuids), "what is on n1 moves", seconds=20)


async def test_an_operator_who_declares_nodes_down_lets_their_containers_move(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    other = next(name for name in cloud.machines if name != home)
    for name in (home, other):
        await cloud.machines[name].power_off()
    await cloud.pass_time(2 * DELAY)
    assert cloud.node_of(uuid) == home
    await cloud.force_down(home)
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=SOON)


async def test_a_new_leader_counts_anew(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    await cloud.machines[home].power_off()
    await cloud.pass_time(DELAY)
    await cloud.lose_leader()
    await cloud.pass_time(DELAY - 5)
    assert cloud.node_of(uuid) == home
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=30)


async def test_a_node_that_returns_and_is_lost_again_is_given_the_whole_delay_again(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    for _ in range(2):
        cloud.machines[home].cable.cut()
        await cloud.pass_time(DELAY)
        cloud.machines[home].cable.mend()
        await cloud.running(uuid)
    assert cloud.node_of(uuid) == home


async def test_the_deletion_of_a_container_on_a_lost_node_works_and_is_finished_when_it_returns(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    cloud.machines[home].cable.cut()
    await cloud.until(lambda: cloud.status(uuid) is Status.UNKNOWN, "it is unknown")
    await cloud.delete(uuid)
    await cloud.until(lambda: cloud.view.container(uuid) is None, "it is gone")
    assert cloud.objects()[uuid] == 1
    cloud.machines[home].cable.mend()
    await cloud.until(lambda: cloud.objects()[uuid] == 0, "its object is removed")
    await cloud.until(lambda: cloud.machines[home].works, "the agent works")
    await cloud.pass_time(2)
    assert await cloud.orders() == []


async def test_the_history_tells_that_it_was_moved_and_keeps_what_the_lost_node_did(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    await cloud.machines[home].power_off()
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=100)
    await cloud.running(uuid)
    await cloud.pass_time(2)
    lines = {line.action: line for line in await cloud.containers.actions(context(), uuid)}
    move, create = lines["move"], lines["create"]
    assert move.finish_time is not None
    assert move.message is None
    assert [event.event for event in move.events] == [
        "leave", "schedule", "compute__do_container_move", "image", "create", "start",
    ]  # fmt: skip
    assert move.events[0].detail == f"Node {home} is lost."
    assert move.why is not None
    assert move.why.startswith(cloud.node_of(uuid))
    assert create.finish_time is not None
    assert create.why is not None
    assert create.why.startswith(home)


async def test_a_signal_that_a_lost_node_may_have_sent_is_not_sent_by_the_next(cloud: Cloud) -> None:
    uuid = await cloud.create()
    home = await cloud.running(uuid)
    cloud.machines[home].cable.cut()
    entry = cloud.entry(uuid)
    request = context()
    await cloud.containers.act(request, entry, Verb.KILL, signal="SIGHUP")
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=100)
    await cloud.running(uuid)
    await cloud.pass_time(2)
    line = await cloud.containers.action(context(), uuid, request.request_id)
    assert line.message is not None
    assert line.message.startswith("Interrupted: the container was moved from another node during this kill.")
    assert cloud.status(uuid) is Status.RUNNING


async def test_a_container_that_no_other_node_can_have_stays_and_goes_on_when_its_node_returns(cloud: Cloud) -> None:
    big = await cloud.create(memory=40_000)
    home = await cloud.running(big)
    for name in cloud.machines:
        if name != home:
            await cloud.running(await cloud.create(memory=40_000, heal=False))
    cloud.machines[home].cable.cut()
    await cloud.pass_time(DELAY + 20)
    reason = cloud.derived(big).reason or ""
    assert reason.startswith(
        f"Node {home} is lost, and no other can have the container: 3 of 4 nodes: not enough memory"
    )
    cloud.machines[home].cable.mend()
    assert await cloud.running(big) == home
    assert cloud.entry(big).place().leaving is None  # type: ignore[union-attr]


async def test_switching_healing_on_counts_once_the_node_has_said_so(cloud: Cloud) -> None:
    uuid = await cloud.create(heal=False)
    home = await cloud.running(uuid)
    cloud.machines[home].cable.cut()
    entry = cloud.entry(uuid)

    await cloud.containers.resize(context(), entry, ContainerChanges(auto_heal=True))
    await cloud.pass_time(3 * DELAY)
    assert cloud.homes(uuid) == [home]
    assert cloud.node_of(uuid) == home
    cloud.machines[home].cable.mend()
    await cloud.until(lambda: _is_guarded(cloud, uuid), "its node promises to guard it")
    cloud.machines[home].cable.cut()
    await cloud.until(lambda: cloud.node_of(uuid) != home, "it moves", seconds=100)


def _is_guarded(cloud: Cloud, uuid: str) -> bool:
    seen = cloud.entry(uuid).seen()
    return seen is not None and seen.guarded and seen.state is SeenState.RUNNING
