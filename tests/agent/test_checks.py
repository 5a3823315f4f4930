# SPDX-License-Identifier: Apache-2.0
"""Health checks on an engine that runs none: the agent runs them."""

import itertools

import pytest
from agent_records import C1, NODE, inbox, intent, run_intents, uuid_of
from agent_world import World

from zun.drivers.runtime.fake.container import FakeContainer
from zun.drivers.runtime.types import Capability
from zun.model.container import HealthCheck
from zun.model.errors import Unavailable
from zun.model.records import Inbox, NodeInfo, Observation, SeenState, Verb
from zun.store import codec, keys

CHECK = HealthCheck(test="cat /tmp/ok", interval=10, retries=3, timeout=5)


@pytest.fixture
def plain(world: World) -> World:
    """A world whose engine runs no health checks."""
    world.engine.capabilities -= {Capability.HEALTH}
    return world


def checked(check: HealthCheck = CHECK, uuid: str = C1) -> Inbox:
    return inbox(uuid, *run_intents(), command=["sleep", "1000000"], healthcheck=check)


async def run(world: World, check: HealthCheck = CHECK) -> FakeContainer:
    await world.start()
    await world.wish(checked(check))
    await world.until(SeenState.RUNNING)
    return world.only()


async def health(world: World) -> tuple[str | None, str]:
    seen = await world.seen()
    assert seen is not None
    return seen.health, seen.reason


async def writes(world: World, uuid: str = C1) -> int:
    """How often something was told of the container."""
    stored = await world.store.get(keys.observation(NODE, uuid))
    assert stored is not None
    return stored.mod_revision


async def test_a_node_says_that_it_can_though_its_engine_cannot(plain: World) -> None:
    await plain.start()
    stored = await plain.store.get(keys.node_info(NODE))
    assert stored is not None
    assert "health" in codec.decode(NodeInfo, stored.value).capabilities


async def test_it_is_starting_then_unhealthy_after_so_many_failures_then_healthy(plain: World) -> None:
    container = await run(plain)
    assert container.request.healthcheck is None
    assert await health(plain) == ("starting", "")
    await plain.settle(29)
    assert (await health(plain))[0] == "starting"
    await plain.settle(2)
    state, reason = await health(plain)
    assert state == "unhealthy"
    assert reason.startswith("Its health check failed: exit code 1: cat:")
    container.files.write("/tmp/ok", b"")
    await plain.settle(10)
    assert await health(plain) == ("healthy", "")


async def test_an_engine_that_checks_by_itself_is_left_to_it(world: World) -> None:
    container = await run(world)
    assert container.request.healthcheck == CHECK
    await world.settle(35)
    assert (await health(world))[0] == "unhealthy"
    assert world.calls("exec_create") == 0


async def test_nothing_is_told_while_nothing_changes(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    before = await writes(plain)
    await plain.settle(3600)
    assert await writes(plain) == before
    assert plain.calls("exec_create") >= 360
    plain.only().files.files.pop("/tmp/ok")
    await plain.settle(60)
    assert (await health(plain))[0] == "unhealthy"
    told = await writes(plain)
    await plain.settle(3600)
    assert await writes(plain) == told


async def test_one_failure_among_successes_changes_nothing(plain: World) -> None:
    container = await run(plain)
    container.files.write("/tmp/ok", b"")
    await plain.settle(11)
    for _ in range(5):
        container.files.files.pop("/tmp/ok")
        await plain.settle(20)
        container.files.write("/tmp/ok", b"")
        await plain.settle(10)
        assert (await health(plain))[0] == "healthy"


async def test_what_is_left_out_is_as_in_docker(plain: World) -> None:
    await run(plain, HealthCheck(test="false"))
    await plain.settle(89)
    assert (await health(plain))[0] == "starting"
    await plain.settle(2)
    assert (await health(plain))[0] == "unhealthy"


async def test_a_command_that_hangs_is_stopped_and_holds_up_nobody(plain: World) -> None:
    await plain.start(parallel_checks=1)
    await plain.wish(checked(HealthCheck(test="sleep 1000000", interval=1, retries=2, timeout=600)))
    other = uuid_of(2)
    await plain.wish(checked(HealthCheck(test="true", interval=10, retries=1, timeout=5), other))
    await plain.settle(15)
    assert (await plain.until(SeenState.RUNNING, uuid=other)).health == "healthy"
    await plain.ask(intent(3, Verb.PAUSE))
    await plain.until(SeenState.PAUSED, seconds=1)
    await plain.ask(intent(4, Verb.UNPAUSE))
    await plain.settle(1300)
    state, reason = await health(plain)
    assert (state, "within 600 seconds" in reason) == ("unhealthy", True)
    hung = [one for one in plain.engine.execs.values() if one.process is not None and one.process.exit_code is None]
    assert len(hung) <= 1


async def test_a_command_that_says_too_much_is_stopped(plain: World) -> None:
    container = await run(plain, HealthCheck(test="cat /big", interval=10, retries=1, timeout=5))
    container.files.write("/big", b"x" * (2 << 20))
    await plain.settle(12)
    assert (await health(plain))[0] == "unhealthy"
    assert "more than 1 MiB" in (await health(plain))[1]


async def test_an_engine_that_is_away_makes_nothing_unhealthy(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    plain.engine.faults.fail("exec_create", Unavailable("The engine is away; wait."), times=None)
    await plain.settle(600)
    assert (await health(plain))[0] == "healthy"


async def test_an_engine_that_hangs_makes_nothing_unhealthy_and_stops_nothing_else(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    plain.engine.faults.hang("exec_start")
    await plain.settle(600)
    assert (await health(plain))[0] == "healthy"
    await plain.ask(intent(3, Verb.STOP))
    await plain.until(SeenState.EXITED, seconds=15)


async def test_what_does_not_run_is_not_asked_and_has_no_health(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    await plain.ask(intent(3, Verb.STOP))
    assert (await plain.until(SeenState.EXITED)).health is None
    asked = plain.calls("exec_create")
    await plain.settle(600)
    assert plain.calls("exec_create") == asked
    await plain.ask(intent(4, Verb.START))
    assert (await plain.until(SeenState.RUNNING)).health == "starting"
    await plain.settle(11)
    assert (await health(plain))[0] == "healthy"


async def test_what_is_paused_is_not_asked_and_keeps_its_health(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    await plain.ask(intent(3, Verb.PAUSE))
    await plain.until(SeenState.PAUSED, health="healthy")
    asked = plain.calls("exec_create")
    await plain.settle(600)
    assert plain.calls("exec_create") == asked
    plain.only().files.files.pop("/tmp/ok")
    await plain.ask(intent(4, Verb.UNPAUSE))
    await plain.until(SeenState.RUNNING, health="unhealthy", seconds=45)


async def test_a_healthy_container_stays_so_over_a_restart_of_the_agent(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    await plain.restart()
    told: list[str | None] = []
    for _ in range(400):
        told.append((await health(plain))[0])
        await plain.settle(0.05)
    assert set(told) == {"healthy"}
    plain.only().files.files.pop("/tmp/ok")
    await plain.until(SeenState.RUNNING, health="unhealthy", seconds=45)


async def test_a_container_started_again_begins_anew(plain: World) -> None:
    (await run(plain)).files.write("/tmp/ok", b"")
    await plain.settle(11)
    await plain.ask(intent(3, Verb.REBOOT))
    await plain.done("req-3")
    seen: Observation | None = await plain.seen()
    assert seen is not None
    assert (seen.state, seen.health) == (SeenState.RUNNING, "starting")


async def test_nobody_is_asked_after_a_deletion(plain: World) -> None:
    await run(plain)
    await plain.ask(intent(3, Verb.DELETE, force=True))
    await plain.done("req-3")
    asked = plain.calls("exec_create")
    await plain.settle(600)
    assert plain.calls("exec_create") == asked


async def test_so_many_begin_at_once_and_who_waits_for_his_turn_is_not_unwell(plain: World) -> None:
    await plain.start(parallel_checks=2)
    quick = HealthCheck(test="true", interval=10, retries=1, timeout=5)
    for number in range(1, 6):
        await plain.wish(checked(quick, uuid_of(number)))
    await plain.settle(5)
    plain.engine.faults.delay("exec_start", 7)  # longer than the command itself may take
    await plain.settle(10)
    assert plain.calls("exec_start") == 2
    await plain.settle(60)
    assert {(await plain.until(SeenState.RUNNING, uuid=uuid_of(number))).health for number in range(1, 6)} == {
        "healthy"
    }


async def test_after_a_restart_of_the_agent_not_all_are_asked_at_once(plain: World) -> None:
    await plain.start()
    for number in range(1, 9):
        await plain.wish(checked(HealthCheck(test="true", interval=60), uuid_of(number)))
    await plain.settle(70)
    await plain.restart()
    asked = [plain.calls("exec_create")]
    for _ in range(61):
        await plain.settle(1)
        asked.append(plain.calls("exec_create"))
    assert asked[-1] - asked[0] == 8
    assert max(later - before for before, later in itertools.pairwise(asked)) < 4
