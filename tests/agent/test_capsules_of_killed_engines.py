# SPDX-License-Identifier: Apache-2.0
"""Capsules whose engine was killed in the middle of a start: what it did and could not tell, and what it does not know itself."""

import pytest
from agent_capsules import APP, INIT, WAITS, Capsules, capsule
from agent_world import World

from zun.model.errors import Unavailable
from zun.model.records import SeenState
from zun.model.states import Status


@pytest.fixture
def capsules(world: World) -> Capsules:
    return Capsules(world)


@pytest.mark.parametrize("unseen", [0, 6], ids=["seen at once", "seen later"])
async def test_a_container_that_began_although_its_start_seemed_to_fail_has_no_error(
    world: World, capsules: Capsules, unseen: int
) -> None:
    await world.start()
    world.engine.faults.fail("start", Unavailable("The engine was killed."), times=6, after=True)
    world.engine.faults.fail("inspect", Unavailable("The engine was killed."), times=unseen)
    await capsules.wish(capsule(WAITS, init=["true"]))
    seen = await capsules.becomes(Status.RUNNING)
    assert [(one.state, one.error) for one in seen.children] == [(SeenState.EXITED, ""), (SeenState.RUNNING, "")]
    assert (await world.done("req-1")).message is None


@pytest.mark.parametrize("begun", [False, True])
async def test_a_container_that_a_killed_engine_knows_nothing_of_is_started_again(
    world: World, capsules: Capsules, begun: bool
) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, init=["sleep", "5"]))
    if begun:
        await capsules.becomes(Status.RUNNING)
    else:
        await world.settle(1)
    lost = capsules.only(APP if begun else INIT)
    lost.state, lost.process = SeenState.UNKNOWN, None
    await world.settle(120)
    assert (await capsules.status())[0] is Status.RUNNING
    assert capsules.only(APP).lives


async def test_a_container_that_runs_once_is_not_started_again_when_its_engine_knows_nothing_of_it(
    world: World, capsules: Capsules
) -> None:
    await world.start()
    await capsules.wish(capsule(WAITS, policy="no"))
    await capsules.becomes(Status.RUNNING)
    lost = capsules.only(APP)
    lost.state, lost.process = SeenState.UNKNOWN, None
    assert (await capsules.becomes(Status.ERROR)).children[0].exit_code is None
    await world.settle(120)
    assert world.calls("start") == 1


@pytest.mark.parametrize("away_seconds", range(300, 340, 8))  # wherever in its pause between two tries the capsule is
async def test_an_engine_that_is_back_after_long_is_used_at_once(
    world: World, capsules: Capsules, away_seconds: int
) -> None:
    await world.start()
    world.engine.go_away()
    await capsules.wish(capsule(WAITS))
    await world.settle(away_seconds)
    world.engine.come_back()
    await world.settle(13)  # the agent looks after its engine every 10 s at least
    assert (await capsules.status())[0] is Status.RUNNING
