# SPDX-License-Identifier: Apache-2.0
"""Who ends is started again, healed, removed or left alone, as its owner wished."""

import pytest
from agent_records import C1, inbox, intent, run_intents
from agent_world import World

from zun.agent.restarts import Ended, decide_restart
from zun.drivers.runtime.types import LogQuery
from zun.model.container import RestartPolicy
from zun.model.errors import Invalid, Unavailable
from zun.model.records import Inbox, SeenState, Verb

NO, ALWAYS, UNLESS = RestartPolicy("no"), RestartPolicy("always"), RestartPolicy("unless-stopped")
ON_FAILURE, ON_FAILURE_2 = RestartPolicy("on-failure"), RestartPolicy("on-failure", 2)


def ended(exit_code: int | None = 1, **told: object) -> Ended:
    fields: dict[str, object] = {"user_stopped": False, "ran_seconds": 1.0}
    return Ended(exit_code=exit_code, **(fields | told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "end", "attempt"),
    [
        (None, ended(), None),
        (NO, ended(), None),
        (ALWAYS, ended(0), 0),
        (ALWAYS, ended(0, attempts=3), 3),
        (ALWAYS, ended(0, attempts=3, ran_seconds=10.0), 0),
        (ALWAYS, ended(user_stopped=True), None),
        (UNLESS, ended(0), 0),
        (UNLESS, ended(user_stopped=True), None),
        (ON_FAILURE, ended(0), None),
        (ON_FAILURE, ended(None), 0),
        (ON_FAILURE, ended(1, restarts=1000), 0),
        (ON_FAILURE_2, ended(1, restarts=1), 0),
        (ON_FAILURE_2, ended(1, restarts=2), None),
        (ALWAYS, ended(rebooted=True, user_stopped=True, ran=False), 0),
        (UNLESS, ended(rebooted=True, user_stopped=True, ran=False), None),
        (UNLESS, ended(rebooted=True), 0),
        (ON_FAILURE, ended(0, rebooted=True), 0),
        (ON_FAILURE, ended(0, rebooted=True, ran=False), None),
        (NO, ended(rebooted=True), None),
        (RestartPolicy("sometimes"), ended(), None),
    ],
)
async def test_the_policy_decides_who_is_started_again(
    policy: RestartPolicy | None, end: Ended, attempt: int | None
) -> None:
    assert decide_restart(policy, end, well_seconds=10.0) == attempt


async def run(world: World, **spec: object) -> Inbox:
    entry = inbox(C1, *run_intents(), **spec)
    await world.start()
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    return entry


async def test_a_flapping_container_is_started_ever_less_often(world: World) -> None:
    await world.start(restart_delay_cap_seconds=8.0)
    await world.wish(inbox(C1, *run_intents(), command=["false"], restart_policy=ALWAYS))
    await world.until(SeenState.RESTARTING)
    starts = []
    for _ in range(6):
        before = world.calls("start")
        await world.settle(10)
        starts.append(world.calls("start") - before)
    assert starts[0] >= 5
    assert starts[-1] <= 2
    seen = await world.until(SeenState.RESTARTING)
    assert seen.restarts == world.calls("start") - 1
    assert "exit code 1" in seen.reason


async def test_who_ran_well_is_started_again_quickly(world: World) -> None:
    await run(world, restart_policy=ALWAYS)
    for number in range(1, 4):
        await world.settle(11)
        world.engine.end(world.only().handle)
        await world.until(SeenState.RUNNING, restarts=number, seconds=0.5)


async def test_on_failure_gives_up_after_so_many_tries(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents(), command=["false"], restart_policy=ON_FAILURE_2))
    seen = await world.until(SeenState.EXITED, restarts=2)
    await world.settle(100)
    assert world.calls("start") == 3
    assert seen.exit_code == 1


async def test_no_policy_means_it_stays_down_with_its_exit_code(world: World) -> None:
    await run(world)
    world.engine.end(world.only().handle, 42)
    seen = await world.until(SeenState.EXITED)
    await world.settle(100)
    assert (seen.exit_code, world.calls("start")) == (42, 1)


async def test_a_stop_by_the_user_ends_restarting(world: World) -> None:
    await run(world, restart_policy=ALWAYS)
    await world.ask(intent(3, Verb.STOP))
    await world.until(SeenState.EXITED, intent_done=3)
    await world.settle(100)
    assert await world.state() is SeenState.EXITED
    await world.ask(intent(4, Verb.START))
    await world.until(SeenState.RUNNING)
    world.engine.end(world.only().handle)
    await world.until(SeenState.RUNNING, restarts=1)


async def test_a_stop_that_meets_a_container_between_two_runs_keeps_it_down(world: World) -> None:
    await world.start(restart_delay_seconds=30.0)
    await world.wish(inbox(C1, *run_intents(), command=["false"], restart_policy=ALWAYS))
    await world.until(SeenState.RESTARTING)
    await world.ask(intent(3, Verb.STOP))
    assert (await world.done("req-3")).message is None
    await world.settle(200)
    assert await world.state() is SeenState.EXITED
    assert world.calls("start") == 1


async def test_a_restart_that_fails_is_tried_again_with_back_off(world: World) -> None:
    await run(world, restart_policy=ALWAYS)
    world.runtime.fail("start", Invalid("no cgroup left"), times=3)
    await world.settle(20)
    world.engine.end(world.only().handle)
    await world.until(SeenState.RUNNING, restarts=4)


async def test_running_out_of_memory_is_said(world: World) -> None:
    await run(world)
    world.engine.run_out_of_memory(world.only().handle)
    seen = await world.until(SeenState.EXITED)
    assert "memory" in seen.reason


async def test_health_is_reported_when_it_changes(world: World) -> None:
    await run(world)
    world.engine.set_health(world.only().handle, "unhealthy")
    await world.until(SeenState.RUNNING, health="unhealthy", seconds=1)


async def test_what_no_event_told_is_found_by_comparing(world: World) -> None:
    await run(world)
    world.engine.vanish(world.only().handle)
    seen = await world.until(SeenState.MISSING, seconds=61)
    assert "vanished" in seen.reason
    await world.ask(intent(3, Verb.START))
    await world.until(SeenState.RUNNING)


async def test_a_vanished_container_is_made_again_and_runs_if_it_ran(world: World) -> None:
    await run(world, auto_heal=True)
    world.engine.vanish(world.only().handle)
    await world.until(SeenState.MISSING, SeenState.CREATED, seconds=61)
    seen = await world.until(SeenState.RUNNING)
    assert seen.runtime_id == world.only().handle
    await world.ask(intent(3, Verb.STOP))
    await world.until(SeenState.EXITED)
    world.engine.vanish(world.only().handle)
    await world.until(SeenState.CREATED)
    await world.settle(100)
    assert await world.state() is SeenState.CREATED


async def test_healing_gives_up_and_says_so(world: World) -> None:
    await run(world, auto_heal=True)
    for _ in range(20):
        if world.objects():
            world.engine.vanish(world.only().handle)
        await world.settle(70)
    seen = await world.until(SeenState.MISSING)
    assert world.calls("create") == 1 + world.options.heal_attempts
    assert "made anew 5 times" in seen.reason


async def test_a_healing_that_fails_is_tried_again(world: World) -> None:
    await run(world, auto_heal=True)
    world.runtime.fail("create", Invalid("disk full"), times=2)
    world.engine.vanish(world.only().handle)
    await world.until(SeenState.MISSING, seconds=61)
    await world.until(SeenState.RUNNING)


async def test_auto_remove_leaves_time_for_the_output_and_keeps_the_exit_code(world: World) -> None:
    await run(world, auto_remove=True)
    world.engine.end(world.only().handle, 7)
    await world.until(SeenState.EXITED, exit_code=7)
    await world.settle(2)
    assert world.objects()
    seen = await world.until(SeenState.GONE, seconds=3)
    assert seen.exit_code == 7
    assert world.objects() == []


async def test_auto_remove_waits_for_who_reads_the_log(world: World) -> None:
    await run(world, auto_remove=True)
    assert world.agent is not None
    async with world.agent.live.logs(C1, LogQuery(follow=True)):
        world.engine.end(world.only().handle)
        await world.settle(20)
        assert await world.state() is SeenState.EXITED
    await world.until(SeenState.GONE, seconds=3)


async def test_an_engine_that_is_away_makes_states_unknown_until_it_is_back(world: World) -> None:
    await run(world)
    world.engine.go_away()
    await world.until(SeenState.UNKNOWN, seconds=90)
    world.engine.come_back()
    await world.until(SeenState.RUNNING, seconds=30)


async def test_a_restart_waits_for_an_engine_that_is_away(world: World) -> None:
    await run(world, restart_policy=ALWAYS)
    world.runtime.fail("start", Unavailable("gone"), times=20)
    world.engine.end(world.only().handle)
    await world.until(SeenState.RESTARTING)
    await world.until(SeenState.RUNNING, seconds=300)
