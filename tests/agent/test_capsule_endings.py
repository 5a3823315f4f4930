# SPDX-License-Identifier: Apache-2.0
"""What containers of a capsule get to end in when it is deleted."""

import asyncio

import pytest
from agent_capsules import APP, APP2, INIT, WAITS, Capsules, capsule
from agent_crashes import Crashes
from agent_records import intent
from agent_world import World

from zun.model.errors import Internal, Unavailable
from zun.model.records import Intent, SeenState, Verb
from zun.model.states import Status

POLITE = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000"]
STUBBORN = ["sh", "-c", "trap 'echo not yet' TERM; sleep 1000000"]
GRACE = 30


def deletion(n: int = 2, *, grace: int | None = GRACE) -> Intent:
    return intent(n, Verb.DELETE, force=True, stop=True, timeout_seconds=grace)


@pytest.fixture
def capsules(world: World) -> Capsules:
    return Capsules(world)


async def runs(world: World, capsules: Capsules, *commands: list[str], **fields: object) -> None:
    await world.start(**fields)
    await capsules.wish(capsule(*commands))
    await capsules.becomes(Status.RUNNING)


async def seconds_to_go(world: World, *intents: Intent) -> float:
    began = world.clock.monotonic()
    await world.ask(*intents)
    await world.until(SeenState.GONE)
    return world.clock.monotonic() - began


async def test_containers_that_end_when_they_are_told_to_hold_nothing_up(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, POLITE, POLITE)
    assert await seconds_to_go(world, deletion()) < 2
    assert world.calls("stop") == 2
    assert (await world.done("req-2")).message is None
    assert not world.engine.sandboxes
    assert not capsules.objects()


async def test_those_that_do_not_are_killed_after_the_grace_which_is_the_same_for_all(
    world: World, capsules: Capsules
) -> None:
    await runs(world, capsules, STUBBORN, STUBBORN, POLITE)
    assert GRACE <= await seconds_to_go(world, deletion()) < GRACE + 2
    assert not capsules.objects()


async def test_a_deletion_that_names_no_grace_gives_what_a_stop_gives(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN, stop_timeout_seconds=7)
    assert 7 <= await seconds_to_go(world, deletion(grace=None)) < 9


@pytest.mark.parametrize("how", [deletion(grace=0), intent(2, Verb.DELETE, force=True)])
async def test_without_a_grace_nobody_is_asked(world: World, capsules: Capsules, how: Intent) -> None:
    await runs(world, capsules, STUBBORN)
    assert await seconds_to_go(world, how) < 2
    assert world.calls("stop") == 0


async def test_a_second_deletion_does_not_begin_the_grace_anew(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN)
    began = world.clock.monotonic()
    await world.ask(deletion())
    await world.settle(GRACE - 10)
    await world.ask(deletion(3, grace=1000))
    await world.until(SeenState.GONE)
    assert world.clock.monotonic() - began < GRACE + 2


async def test_one_by_force_ends_the_grace_at_once(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN, WAITS)
    await world.ask(deletion(grace=80000))
    await world.settle(100)
    assert capsules.only(APP).lives
    assert await seconds_to_go(world, intent(3, Verb.DELETE, force=True)) < 2
    assert "cut short" in ((await world.done("req-2")).message or "")
    assert (await world.done("req-3")).message is None
    assert not capsules.objects()


@pytest.mark.parametrize("ordered", [True, False])
async def test_what_is_not_to_be_on_the_node_any_more_gets_no_grace(
    world: World, capsules: Capsules, *, ordered: bool
) -> None:
    await runs(world, capsules, STUBBORN)
    await world.ask(deletion(grace=80000))
    await world.settle(100)
    began = world.clock.monotonic()
    if ordered:
        await world.wish(capsule(STUBBORN, intents=(), absent=True, seq=2))
    else:
        await world.unwish()
    while capsules.objects():
        await world.settle(0.1)
        assert world.clock.monotonic() - began < 30
    assert not world.engine.sandboxes


async def test_nothing_is_started_again_while_it_ends(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN, POLITE)
    await world.ask(deletion())
    await world.settle(GRACE - 5)
    assert capsules.only(APP).lives
    assert not capsules.only(APP2).lives
    await world.until(SeenState.GONE)
    assert world.calls("start") == 2


async def test_an_init_container_that_runs_is_told_as_well(world: World, capsules: Capsules) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=STUBBORN))
    await world.settle(10)
    assert capsules.only(INIT).lives
    assert GRACE <= await seconds_to_go(world, deletion()) < GRACE + 2
    assert not world.objects(APP)


@pytest.mark.parametrize("away", [0, 10, GRACE + 10])
async def test_an_agent_that_restarts_meanwhile_grants_no_more_than_what_is_left(
    world: World, capsules: Capsules, away: int
) -> None:
    await runs(world, capsules, STUBBORN)
    began = world.clock.monotonic()
    await world.ask(deletion())
    await world.settle(10)
    await world.stop()
    await asyncio.sleep(away)
    assert capsules.only(APP).lives
    await world.start()
    await world.until(SeenState.GONE)
    assert world.clock.monotonic() - began < max(GRACE, 10 + away) + 3
    assert (await world.done("req-2")).message is None


async def test_a_journal_that_is_lost_grants_one_grace_more_and_no_other(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN)
    began = world.clock.monotonic()
    await world.ask(deletion())
    await world.settle(10)
    await world.stop()
    for path in world.state_dir.glob("journal*"):
        path.unlink()
    await world.start()
    await world.until(SeenState.GONE)
    assert world.clock.monotonic() - began < 10 + GRACE + 3


@pytest.mark.parametrize("error", [Unavailable("Not now."), Internal("It did not receive an exit event.")])
async def test_an_engine_that_cannot_stop_them_removes_them_after_the_grace(
    world: World, capsules: Capsules, error: Exception
) -> None:
    await runs(world, capsules, STUBBORN, POLITE)
    world.runtime.fail("stop", error, times=None)
    assert GRACE <= await seconds_to_go(world, deletion()) < GRACE + 60
    assert not capsules.objects()
    assert (await world.done("req-2")).message is None


async def test_an_engine_that_goes_away_meanwhile_does_not_grant_it_again(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN)
    world.engine.faults.delay("stop", GRACE - 10)
    world.runtime.fail("stop", Unavailable("It is restarting."))
    assert await seconds_to_go(world, deletion()) < GRACE + 10
    assert not capsules.objects()


async def test_what_vanished_from_the_engine_keeps_nobody_waiting(world: World, capsules: Capsules) -> None:
    await runs(world, capsules, STUBBORN)
    world.engine.faults.delay("inspect", 5)  # it has vanished, and the agent does not know it yet
    world.engine.vanish(capsules.only(APP).handle)
    assert await seconds_to_go(world, deletion()) < GRACE


@pytest.mark.parametrize("at", range(1, 40))
async def test_a_crash_at_any_step_of_a_deletion_is_no_reason_to_wait_twice_or_to_leave_anything(
    world: World, capsules: Capsules, at: int
) -> None:
    await runs(world, capsules, STUBBORN, POLITE)
    await world.stop()
    began = world.clock.monotonic()
    await world.ask(deletion())
    world.crashes = Crashes(at)
    world.agent = world.make_agent()
    world.task = asyncio.ensure_future(world.agent.run())
    crashed = await world.crashed(GRACE + 60)
    took = world.clock.monotonic() - began
    world.crashes = None
    if not crashed:
        await world.stop()
    await world.start()
    await world.until(SeenState.GONE)
    assert (await world.done("req-2")).message is None
    if crashed:
        assert world.clock.monotonic() - began < max(took, GRACE) + GRACE
    assert not world.engine.sandboxes
    assert not capsules.objects()
