# SPDX-License-Identifier: Apache-2.0
"""Capsules on a node: what is made in which order, what is started again, what is left after it is gone."""

import asyncio

import pytest
from agent_capsules import APP, APP2, INIT, WAITS, Capsules, capsule, child
from agent_crashes import Crashes
from agent_records import C1, IMAGE, NODE, PROJECT, intent, uuid_of
from agent_world import World

from zun.drivers.runtime.types import SandboxRequest
from zun.model.capsule import child_seen
from zun.model.errors import Invalid, Unavailable
from zun.model.records import SeenState, Verb
from zun.model.states import Status
from zun.store import keys


@pytest.fixture
def capsules(world: World) -> Capsules:
    return Capsules(world)


async def test_containers_run_in_one_sandbox_and_share_its_address(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, WAITS))
    seen = await capsules.becomes(Status.RUNNING)
    assert [one.state for one in seen.children] == [SeenState.RUNNING, SeenState.RUNNING]
    assert {found.request.sandbox for found in capsules.objects()} == {capsules.sandbox()}
    assert seen.addresses
    assert (await world.done("req-1")).message is None
    assert seen.intent_done == 1


async def test_init_containers_run_to_their_end_before_the_others(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["sleep", "30"]))
    await world.settle(20)
    assert (await capsules.status())[0] is Status.CREATING
    assert not world.objects(APP)
    assert (await capsules.one(INIT)).state is SeenState.RUNNING
    seen = await capsules.becomes(Status.RUNNING)
    assert (await capsules.one(INIT)).exit_code == 0
    started = [one.started_at for one in seen.children]
    assert started[1] - started[0] >= 30  # type: ignore[operator]


async def test_a_failing_init_container_is_tried_again_and_nothing_after_it_starts(
    world: World, capsules: Capsules
) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["false"]))
    await world.settle(60)
    assert (await capsules.status())[0] is Status.CREATING
    assert (await capsules.one(INIT)).restarts > 2
    assert not world.objects(APP)
    assert (await world.result("req-1")).finish_time is None  # type: ignore[union-attr]


async def test_a_failing_init_container_without_policy_is_the_end(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["sh", "-c", "exit 3"], policy="no"))
    await capsules.becomes(Status.ERROR)
    await world.settle(60)
    assert not world.objects(APP)
    assert (await capsules.one(INIT)).exit_code == 3
    result = await world.done("req-1")
    assert "exit code 3" in (result.message or "")


async def test_a_container_that_ends_is_started_again_by_the_policy_with_growing_waits(
    world: World, capsules: Capsules
) -> None:
    await world.start()
    await capsules.wish(capsule(["false"], WAITS, policy="on-failure"))
    await capsules.becomes(Status.RUNNING)
    await world.settle(300)
    flapping, steady = await capsules.one(APP), await capsules.one(APP2)
    assert 3 < flapping.restarts < 60
    assert steady.restarts == 0
    assert (await capsules.status())[0] is Status.RUNNING


async def test_everything_that_ended_well_is_stopped_and_stays_so(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(["true"], ["true"], policy="on-failure"))
    await capsules.becomes(Status.STOPPED)
    await world.settle(300)
    assert (await capsules.status())[0] is Status.STOPPED
    assert world.calls("start") == 2


async def test_a_container_that_fails_for_good_is_an_error_once_all_have_ended(
    world: World, capsules: Capsules
) -> None:
    await world.start()
    await capsules.wish(capsule(["sh", "-c", "exit 7"], ["sleep", "100"], policy="no"))
    await capsules.becomes(Status.RUNNING)
    await world.settle(50)
    assert (await capsules.status())[0] is Status.RUNNING
    await capsules.becomes(Status.ERROR)
    assert "exit code 7" in ((await capsules.status())[1] or "")


async def test_an_image_that_is_not_there_is_an_error_and_the_others_run(world: World, capsules: Capsules) -> None:
    world.engine.any_image = False
    await world.start()
    entry = capsule(WAITS, WAITS)
    entry.children[0] = child(APP, WAITS, "always", image="docker.io/library/absent:1")
    await capsules.wish(entry)
    await capsules.becomes(Status.ERROR)
    await world.settle(5)
    assert (await capsules.one(APP2)).state is SeenState.RUNNING
    assert "absent" in ((await world.done("req-1")).message or "")


async def test_a_program_that_is_not_there_is_an_error(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(["no-such-program"]))
    await capsules.becomes(Status.ERROR)
    assert "no-such-program" in ((await world.done("req-1")).message or "")
    await world.settle(100)
    assert world.calls("start") == 1


@pytest.mark.parametrize("verb", ["create_sandbox", "create", "start", "pull"])
async def test_what_may_pass_is_tried_again(world: World, capsules: Capsules, verb: str) -> None:
    world.engine.images.clear()
    world.runtime.fail(verb, Unavailable("Not now."), times=8)
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING, seconds=900)
    assert (await world.done("req-1")).message is None


async def test_a_refused_sandbox_is_an_error(world: World, capsules: Capsules) -> None:
    world.runtime.fail("create_sandbox", Invalid("No such thing."), times=None)
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.ERROR)
    assert (await world.done("req-1")).message == "No such thing."


@pytest.mark.parametrize("how", ["ends", "vanishes"])
async def test_a_lost_sandbox_is_made_anew_with_all_that_is_to_run(world: World, capsules: Capsules, how: str) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["true"]))
    await capsules.becomes(Status.RUNNING)
    old, before = capsules.sandbox(), capsules.only().handle
    if how == "ends":
        world.engine.end_sandbox(old)
    else:
        del world.engine.sandboxes[old]
    await capsules.becomes(Status.RESTARTING)
    seen = await capsules.becomes(Status.RUNNING)
    assert capsules.sandbox() != old
    assert capsules.only().handle != before
    assert [one.restarts for one in seen.children] == [0, 1]
    assert len(capsules.objects()) == 2


@pytest.mark.parametrize("policy", ["always", "no"])
async def test_a_sandbox_that_was_left_half_made_makes_way(world: World, capsules: Capsules, policy: str) -> None:
    await world.start()
    wished = capsule(WAITS, policy=policy)
    assert world.runtime.pods is not None
    old = await world.runtime.pods.create_sandbox(SandboxRequest(uuid=C1, generation=1, project_id=PROJECT))
    world.engine.end_sandbox(old)
    await capsules.wish(wished)
    await capsules.becomes(Status.RUNNING)
    assert capsules.sandbox() != old
    assert len(world.engine.sandboxes) == 1


async def test_without_a_policy_a_lost_sandbox_is_the_end(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, policy="no"))
    await capsules.becomes(Status.RUNNING)
    world.engine.end_sandbox(capsules.sandbox())
    await capsules.becomes(Status.ERROR)
    assert "sandbox" in ((await capsules.status())[1] or "")
    await world.settle(100)
    assert not capsules.objects()


async def test_a_container_that_somebody_removed_is_made_again(world: World, capsules: Capsules) -> None:
    await world.start(sync_seconds=10)
    await capsules.wish(capsule(WAITS, WAITS))
    await capsules.becomes(Status.RUNNING)
    untouched = capsules.only(APP2).handle
    world.engine.vanish(capsules.only(APP).handle)
    await world.settle(60)
    assert (await capsules.status())[0] is Status.RUNNING
    assert capsules.only(APP).lives
    assert capsules.only(APP2).handle == untouched


async def test_a_deletion_leaves_nothing(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["true"]))
    await capsules.becomes(Status.RUNNING)
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert (await world.done("req-2")).message is None
    assert not world.engine.sandboxes
    assert not capsules.objects()
    await world.unwish()
    await world.forgotten()
    assert not (await world.store.range(keys.node_prefix(NODE) + "e/")).items


@pytest.mark.parametrize("verb", ["create_sandbox", "create", "start", "pull"])
async def test_a_deletion_does_not_wait_for_what_is_being_made(world: World, capsules: Capsules, verb: str) -> None:
    world.engine.images.clear()
    world.engine.faults.delay(verb, 1000)
    await world.start(engine_timeout_seconds=5000)
    await capsules.wish(capsule(WAITS))
    await world.settle(5)
    began = world.clock.monotonic()
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert world.clock.monotonic() - began < 30
    assert "cut short" in ((await world.done("req-1")).message or "")
    assert (await world.done("req-2")).message is None
    assert not capsules.objects()


async def test_an_engine_that_is_away_makes_a_deletion_wait_not_fail(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    world.engine.go_away()
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.settle(100)
    assert await world.state() is not SeenState.GONE
    world.engine.come_back()
    await world.until(SeenState.GONE)
    assert not world.engine.sandboxes


async def test_an_agent_that_restarts_finds_its_capsules_running(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["true"]))
    await capsules.becomes(Status.RUNNING)
    handles = {found.handle for found in capsules.objects()}
    await world.restart()
    await world.settle(30)
    assert (await capsules.status())[0] is Status.RUNNING
    assert {found.handle for found in capsules.objects()} == handles
    assert world.calls("create_sandbox") == 1


async def test_what_ended_while_the_agent_was_away_is_started_again(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    await world.stop()
    world.engine.end(capsules.only().handle, 1)
    await world.start()
    await world.settle(30)
    await capsules.becomes(Status.RUNNING)
    assert (await capsules.one()).restarts == 1


async def test_a_capsule_that_nobody_wishes_any_more_goes(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    await world.stop()
    (world.state_dir / "journal").unlink()
    await world.unwish()
    await world.start()
    await world.forgotten()
    await world.settle(60)
    assert not world.engine.sandboxes
    assert not capsules.objects()


async def test_strays_of_capsules_are_cleared_away(world: World, capsules: Capsules) -> None:
    from zun.drivers.runtime.types import ContainerRequest, SandboxRequest

    await world.start(sync_seconds=10)
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    mine = capsules.sandbox()
    stray = await world.runtime.pods.create_sandbox(SandboxRequest(uuid=uuid_of(9), generation=1, project_id=PROJECT))
    await world.runtime.containers.create(
        ContainerRequest(
            uuid=uuid_of(99), generation=1, project_id=PROJECT, image=IMAGE, sandbox=stray, capsule=uuid_of(9)
        )
    )
    await world.settle(30)
    assert set(world.engine.sandboxes) == {mine}
    assert not world.objects(uuid_of(99))


async def test_an_order_to_be_gone_is_carried_out_and_told(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    await world.stop()
    (world.state_dir / "journal").unlink()
    await capsules.wish(capsule(WAITS, absent=True))
    await world.start()
    await world.until(SeenState.GONE)
    assert not world.engine.sandboxes
    assert not capsules.objects()


async def test_an_engine_that_is_away_makes_the_capsule_unknown_until_it_is_back(
    world: World, capsules: Capsules
) -> None:
    await world.start(sync_seconds=10)
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    world.engine.go_away()
    await capsules.becomes(Status.UNKNOWN)
    assert child_seen(await world.seen(), APP).state is SeenState.UNKNOWN  # type: ignore[union-attr]
    world.engine.come_back()
    await capsules.becomes(Status.RUNNING)
    assert world.calls("create") == 1


async def test_a_newer_generation_begins_from_nothing(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS))
    await capsules.becomes(Status.RUNNING)
    old = capsules.sandbox()
    await capsules.wish(capsule(WAITS, generation=2))
    await world.settle(30)
    seen = await capsules.becomes(Status.RUNNING)
    assert seen.generation == 2
    assert old not in world.engine.sandboxes
    assert len(capsules.objects()) == 1


async def test_a_child_is_talked_to_by_its_own_uuid_and_the_capsule_is_not(world: World, capsules: Capsules) -> None:
    from zun.drivers.runtime.types import LogQuery
    from zun.model.errors import NotFound

    agent = await world.start()
    await capsules.wish(capsule(["sh", "-c", "echo hello; sleep 100"]))
    await capsules.becomes(Status.RUNNING)
    async with agent.live.logs(APP, LogQuery()) as chunks:
        assert b"".join([chunk.data async for chunk in chunks]) == b"hello\n"
    with pytest.raises(NotFound):
        await agent.live.stats(C1)


@pytest.mark.parametrize("at", range(1, 60))
async def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(world: World, capsules: Capsules, at: int) -> None:
    world.crashes = Crashes(at)
    await capsules.wish(capsule(WAITS, ["sh", "-c", "exit 1"], init=["true"], policy="on-failure"))
    world.agent = world.make_agent()
    world.task = asyncio.ensure_future(world.agent.run())
    crashed = await world.crashed(20)
    world.crashes = None
    if not crashed:
        await world.stop()
    await world.start()
    await capsules.becomes(Status.RUNNING)
    assert (await world.done("req-1")).message is None
    assert len(world.engine.sandboxes) == 1
    assert sorted(found.request.uuid for found in capsules.objects()) == sorted([INIT, APP, APP2])
    await world.ask(intent(2, Verb.DELETE, force=True))
    await world.until(SeenState.GONE)
    assert not world.engine.sandboxes
    assert not capsules.objects()
