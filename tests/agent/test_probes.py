# SPDX-License-Identifier: Apache-2.0
"""Probes of a capsule's containers on a node: who is started again for them, what is shown, who waits for whom."""

import asyncio

import msgspec
import pytest
from agent_capsules import APP, APP2, WAITS, Capsules, capsule
from agent_crashes import Crashes
from agent_records import C1, NODE, intent
from agent_world import World

from zun.drivers.network.fake import FakeNetworks
from zun.drivers.runtime.types import Capability
from zun.model.capsule_status import capsule_status
from zun.model.errors import Unavailable
from zun.model.probes import HttpGet, Probe, Probes
from zun.model.records import Inbox, SeenState, Verb
from zun.model.states import Status
from zun.store import keys

OK = ["cat", "/tmp/ok"]
ALIVE = Probe(command=OK, delay=5, period=2, failures=3)
READY = Probe(command=["cat", "/tmp/ready"], period=2, failures=2, successes=2)


@pytest.fixture(params=["the engine checks", "the engine does not"])
def capsules(world: World, request: pytest.FixtureRequest) -> Capsules:
    """Probes are the agent's on every engine."""
    if request.param == "the engine does not":
        world.engine.capabilities -= {Capability.HEALTH}
    return Capsules(world)


ALWAYS = Probe(command=["true"], period=2)


def probed(probes: Probes, *apps: list[str], policy: str = "always") -> Inbox:
    entry = capsule(*(apps or (WAITS, WAITS)), policy=policy)
    entry.children = [msgspec.structs.replace(entry.children[0], probes=probes), *entry.children[1:]]
    return entry


async def run(capsules: Capsules, probes: Probes, **fields: str) -> None:
    await capsules.world.start()
    await capsules.wish(probed(probes, **fields))
    await capsules.becomes(Status.RUNNING)


def touch(capsules: Capsules, name: str) -> None:
    capsules.only().files.write(f"/tmp/{name}", b"")


async def test_a_container_whose_liveness_fails_is_started_again_and_its_neighbour_is_not(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE))
    touch(capsules, "ok")
    await capsules.world.settle(60)
    assert ((await capsules.one()).restarts, (await capsules.one()).health) == (0, "healthy")
    capsules.only().files.files.pop("/tmp/ok")
    await capsules.world.settle(10)
    assert (await capsules.one()).restarts == 1
    assert ((await capsules.one(APP2)).restarts, (await capsules.one(APP2)).health) == (0, None)


async def test_why_it_was_started_again_is_told(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE))
    capsules.world.engine.faults.delay("start", 30)
    await capsules.world.settle(25)
    seen = await capsules.one()
    assert seen.state is SeenState.RESTARTING
    assert "Its liveness probe failed: exit code 1: cat:" in seen.reason
    assert "liveness probe" in str(await capsules.status())


async def test_waits_between_restarts_grow_while_it_keeps_failing_soon(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=Probe(command=OK, period=1, failures=1)))
    await capsules.world.settle(60)
    early = (await capsules.one()).restarts
    await capsules.world.settle(600)
    assert 3 < early < 30
    assert (await capsules.one()).restarts - early < 30


async def test_with_never_it_is_ended_and_stays_so(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE), policy="no")
    await capsules.world.settle(60)
    seen = await capsules.one()
    assert (seen.state, seen.restarts, seen.health) == (SeenState.EXITED, 0, None)
    assert "liveness probe" in seen.reason
    assert (await capsules.one(APP2)).state is SeenState.RUNNING


async def test_readiness_is_shown_and_ends_nothing(capsules: Capsules) -> None:
    await run(capsules, Probes(readiness=READY))
    assert (await capsules.one()).health == "starting"
    touch(capsules, "ready")
    await capsules.world.settle(1)
    assert (await capsules.one()).health != "healthy"  # two successes are asked for
    await capsules.world.settle(5)
    assert (await capsules.one()).health == "healthy"
    capsules.only().files.files.pop("/tmp/ready")
    await capsules.world.settle(600)
    seen = await capsules.one()
    assert (seen.state, seen.health, seen.restarts) == (SeenState.RUNNING, "unhealthy", 0)
    status, reason = await capsules.status()
    assert status is Status.RUNNING
    assert "Its readiness probe failed" in str(reason)


async def test_startup_holds_the_others_off_until_it_has_passed_once(capsules: Capsules) -> None:
    startup = Probe(command=["cat", "/tmp/up"], period=10, failures=30)
    await run(capsules, Probes(startup=startup, liveness=Probe(command=OK, period=1, failures=1)))
    await capsules.world.settle(200)
    seen = await capsules.one()
    assert (seen.restarts, seen.health) == (0, "starting")
    touch(capsules, "up")
    touch(capsules, "ok")
    await capsules.world.settle(12)
    assert (await capsules.one()).health == "healthy"
    capsules.only().files.files.pop("/tmp/up")  # it is asked no more
    await capsules.world.settle(600)
    assert ((await capsules.one()).restarts, (await capsules.one()).health) == (0, "healthy")


async def test_what_never_comes_up_is_started_again(capsules: Capsules) -> None:
    await run(capsules, Probes(startup=Probe(command=OK, period=10, failures=3)))
    await capsules.world.settle(60)
    assert (await capsules.one()).restarts >= 1


async def test_one_that_hears_no_signal_is_killed_after_its_grace(capsules: Capsules) -> None:
    deaf = ["sh", "-c", "trap 'echo heard' TERM; while :; do sleep 0.05; done"]
    await capsules.world.start()
    await capsules.wish(probed(Probes(liveness=ALIVE), deaf, WAITS, policy="no"))
    await capsules.becomes(Status.RUNNING)
    await capsules.world.settle(40)
    assert (await capsules.one()).exit_code == 137


async def test_an_engine_that_is_away_ends_nothing(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE))
    touch(capsules, "ok")
    await capsules.world.settle(20)
    capsules.world.engine.faults.fail("exec_create", Unavailable("The engine is away; wait."), times=None)
    await capsules.world.settle(600)
    assert (await capsules.one()).restarts == 0


async def test_a_stop_that_fails_is_tried_again(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE))
    capsules.world.engine.faults.fail("stop", Unavailable("The engine is away; wait."), times=8)
    await capsules.world.settle(120)
    assert (await capsules.one()).restarts >= 1


async def test_a_deletion_does_not_wait_for_one_that_is_being_ended(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE))
    capsules.world.engine.faults.delay("stop", 100)
    await capsules.world.settle(12)
    await capsules.world.ask(intent(2, Verb.DELETE, force=True))
    assert (await capsules.world.done("req-2", seconds=20)).message is None
    asked = capsules.world.calls("exec_create")
    await capsules.world.settle(300)
    assert capsules.world.calls("exec_create") == asked


async def test_nothing_is_told_while_nothing_changes(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE, readiness=READY))
    touch(capsules, "ok")
    await capsules.world.settle(30)
    before = await capsules.world.store.get(keys.observation(NODE, C1))
    await capsules.world.settle(900)
    assert await capsules.world.store.get(keys.observation(NODE, C1)) == before


async def test_a_restart_of_the_agent_changes_nothing_for_what_is_well(capsules: Capsules) -> None:
    await run(capsules, Probes(startup=Probe(command=["cat", "/tmp/up"]), liveness=ALIVE))
    touch(capsules, "up")
    touch(capsules, "ok")
    await capsules.world.settle(30)
    assert (await capsules.one()).health == "healthy"
    capsules.only().files.files.pop("/tmp/up")  # that it came up once is remembered
    await capsules.world.restart()
    for _ in range(400):
        assert (await capsules.one()).health == "healthy"
        await capsules.world.settle(0.05)
    await capsules.world.settle(600)
    assert (await capsules.one()).restarts == 0


async def test_a_container_without_an_address_is_not_ready(capsules: Capsules) -> None:
    """And the made-up engine's addresses are nobody's: nothing is sent there."""
    entry = probed(Probes(readiness=Probe(http=HttpGet(port=80), period=2, failures=1)))
    entry.attachments = []
    capsules.world.networks = FakeNetworks()
    await capsules.world.start()
    await capsules.wish(entry)
    await capsules.becomes(Status.RUNNING)
    await capsules.world.settle(5)
    seen = await capsules.world.seen()
    assert seen is not None
    assert (await capsules.one()).health == "unhealthy"
    assert "no address" in str(capsule_status(entry.children, seen)[1])


async def test_a_lost_sandbox_takes_its_checks_along(capsules: Capsules) -> None:
    await run(capsules, Probes(liveness=ALIVE))
    touch(capsules, "ok")
    await capsules.world.settle(20)
    capsules.world.engine.end_sandbox(capsules.sandbox())
    await capsules.world.settle(30)
    seen = await capsules.one(APP)
    assert seen.state in {SeenState.RUNNING, SeenState.RESTARTING}


@pytest.mark.parametrize("at", range(1, 90, 6))
async def test_a_crash_at_any_step_of_ending_one_doubles_nothing(world: World, at: int) -> None:
    capsules = Capsules(world)
    world.crashes = Crashes(at)
    await capsules.wish(probed(Probes(liveness=ALIVE)))
    world.agent = world.make_agent()
    world.task = asyncio.ensure_future(world.agent.run())
    crashed = await world.crashed(60)
    world.crashes = None
    if not crashed:
        await world.stop()
    await world.start()
    await world.settle(60)
    assert (await capsules.status())[0] is Status.RUNNING
    assert (await capsules.one()).restarts >= 2
    assert (await capsules.one(APP2)).restarts == 0
    assert len(world.engine.sandboxes) == 1
    assert sorted(found.request.uuid for found in capsules.objects()) == sorted([APP, APP2])


async def test_an_engine_that_was_away_makes_no_startup_probe_begin_again(capsules: Capsules) -> None:
    await run(capsules, Probes(startup=Probe(command=OK, period=1, failures=5), liveness=ALWAYS))
    touch(capsules, "ok")
    await capsules.world.settle(30)
    assert (await capsules.one()).health == "healthy"
    capsules.only().files.files.pop("/tmp/ok")  # only its start has it
    capsules.world.engine.go_away()
    await capsules.world.settle(120)
    capsules.world.engine.come_back()
    await capsules.world.settle(60)
    assert ((await capsules.one()).restarts, (await capsules.one()).health) == (0, "healthy")
