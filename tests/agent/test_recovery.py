# SPDX-License-Identifier: Apache-2.0
"""An agent that stops, crashes or finds things it does not expect: containers run on, nothing is doubled, nothing is lost."""

import asyncio
from contextlib import suppress

import pytest
from agent_crashes import Crash, Crashes
from agent_records import C1, NODE, inbox, intent, run_intents, uuid_of
from agent_world import OWNER, World

from zun.drivers.runtime.fake import FakeRuntime
from zun.drivers.runtime.types import ContainerRequest
from zun.model.container import RestartPolicy
from zun.model.errors import Unavailable
from zun.model.records import Inbox, SeenState, Verb
from zun.store import keys
from zun.store.interface import Put


async def run(world: World, uuid: str = C1, **spec: object) -> Inbox:
    entry = inbox(uuid, *run_intents(), **spec)
    await world.wish(entry)
    await world.until(SeenState.RUNNING, uuid=uuid)
    return entry


async def test_containers_run_on_while_the_agent_is_away(world: World) -> None:
    await world.start()
    await run(world)
    handle, calls = world.only().handle, dict(world.engine.faults.calls)
    await world.restart()
    await world.settle()
    assert world.only().handle == handle
    assert world.calls("create") == calls["create"]
    assert world.calls("start") == calls["start"]
    await world.ask(intent(3, Verb.PAUSE))
    await world.until(SeenState.PAUSED)


async def test_what_happened_while_the_agent_was_away_is_seen(world: World) -> None:
    await world.start()
    await run(world)
    await run(world, uuid_of(2), restart_policy=RestartPolicy("always"))
    await run(world, uuid_of(3), auto_heal=True)
    await world.stop()
    world.engine.end(world.only().handle, 5)
    world.engine.end(world.only(uuid_of(2)).handle, 5)
    world.engine.vanish(world.only(uuid_of(3)).handle)
    await world.start()
    assert (await world.until(SeenState.EXITED)).exit_code == 5
    await world.until(SeenState.RUNNING, uuid=uuid_of(2), restarts=1)
    await world.until(SeenState.RUNNING, SeenState.CREATED, uuid=uuid_of(3))
    await world.settle()
    assert await world.state(uuid_of(3)) is SeenState.RUNNING


async def test_what_was_asked_for_meanwhile_is_done_and_what_was_done_is_not_done_again(world: World) -> None:
    await world.start()
    await run(world)
    await world.stop()
    entry = inbox(C1, *run_intents(), intent(3, Verb.STOP))
    await world.wish(entry)
    await world.start()
    await world.until(SeenState.EXITED, intent_done=3)
    assert world.calls("create") == 1
    assert world.calls("start") == 1


async def test_our_objects_in_no_inbox_are_removed_and_nobody_elses(world: World) -> None:
    others = FakeRuntime(world.clock, owner="somebody else", engine=world.engine)
    foreign = await others.containers.create(
        ContainerRequest(uuid=uuid_of(7), generation=1, project_id="p", image="busybox", command=["sleep", "9"])
    )
    orphan = await world.runtime.containers.create(
        ContainerRequest(uuid=uuid_of(8), generation=1, project_id="p", image="busybox", command=["sleep", "9"])
    )
    await world.runtime.containers.start(orphan)
    await world.start()
    await world.settle()
    assert set(world.engine.containers) == {foreign}


async def test_nothing_is_removed_before_the_inbox_was_read(world: World) -> None:
    orphan = await world.runtime.containers.create(
        ContainerRequest(uuid=uuid_of(8), generation=1, project_id="p", image="busybox")
    )
    real, world.store = world.store, AwayStore(world.store)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(300):
            await world.start()
    assert orphan in world.engine.containers
    world.store.away = False
    await world.settle(20)
    assert orphan not in world.engine.containers
    world.store = real


class AwayStore:
    """A store behind a broken network."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.away = True

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise Unavailable("The store is away.")
        return getattr(self._store, name)


async def test_an_entry_nobody_can_read_costs_nobody_a_container(world: World) -> None:
    await world.start()
    await run(world)
    await world.stop()
    await world.store.transact([], [Put(keys.inbox(NODE, C1), b"{")])
    await world.start()
    await world.settle(100)
    assert world.only().lives
    await world.wish(inbox(C1, *run_intents(), intent(3, Verb.PAUSE)))
    await world.until(SeenState.PAUSED)
    assert world.calls("create") == 1


async def test_traces_of_containers_that_left_the_inbox_meanwhile_are_taken_back(world: World) -> None:
    await world.start()
    await run(world)
    await world.ask(intent(3, Verb.DELETE, force=True))
    await world.done("req-3")
    await world.stop()
    await world.unwish()
    await world.start()
    await world.forgotten()
    await world.settle(1)
    assert (await world.store.range(keys.node_prefix(NODE) + "e/")).items == ()


async def test_a_lost_state_directory_costs_no_container_and_repeats_nothing(world: World) -> None:
    await world.start()
    await run(world)
    await world.ask(intent(3, Verb.KILL, signal="SIGHUP"))
    await world.done("req-3")
    await world.stop()
    (world.state_dir / "journal").unlink()
    await world.start()
    await world.settle()
    assert (world.calls("create"), world.calls("start"), world.calls("kill")) == (1, 1, 1)


@pytest.mark.parametrize(
    ("policy", "stopped", "expected"),
    [
        ("no", False, SeenState.EXITED),
        ("always", False, SeenState.RUNNING),
        ("always", True, SeenState.RUNNING),
        ("unless-stopped", False, SeenState.RUNNING),
        ("unless-stopped", True, SeenState.EXITED),
        ("on-failure", False, SeenState.RUNNING),
        ("on-failure", True, SeenState.EXITED),
    ],
)
async def test_after_the_machine_started_anew_those_run_again_that_should(
    world: World, policy: str, stopped: bool, expected: SeenState
) -> None:
    await world.start()
    await run(world, restart_policy=RestartPolicy(policy))
    if stopped:
        await world.ask(intent(3, Verb.STOP))
        await world.done("req-3")
    await world.stop()
    if not stopped:
        world.engine.end(world.only().handle, 0)
    world.boot_id = "boot-2"
    await world.start()
    await world.settle(60)
    assert await world.state() is expected
    await world.restart()
    await world.settle(60)
    assert await world.state() is expected


async def test_an_interrupted_kill_says_so_and_is_not_repeated(world: World) -> None:
    await world.start()
    await run(world)
    world.engine.faults.hang("kill")
    await world.ask(intent(3, Verb.KILL, signal="SIGUSR1"))
    await world.settle(1)
    await world.stop()
    world.engine.faults.clear()
    await world.start()
    result = await world.done("req-3")
    assert (result.message or "").startswith("Interrupted")
    assert result.events[0].result == "Interrupted"
    assert world.calls("kill") == 1
    await world.until(SeenState.RUNNING, intent_done=3)


async def test_a_kill_whose_success_was_told_is_not_called_interrupted_when_the_journal_lags(world: World) -> None:
    await world.start()
    await run(world)
    hanging = world.engine.faults.hang("kill")
    await world.ask(intent(3, Verb.KILL, signal="SIGKILL"))
    await world.settle(1)
    old = (world.state_dir / "journal").read_bytes()
    hanging.set()
    assert (await world.done("req-3")).message is None
    await world.stop()
    (world.state_dir / "journal").write_bytes(old)
    await world.start()
    await world.settle()
    assert (await world.done("req-3")).message is None
    assert world.calls("kill") == 1


@pytest.mark.parametrize(
    ("verb", "engine_verb", "ended"), [(Verb.DELETE, "remove", SeenState.GONE), (Verb.STOP, "stop", SeenState.EXITED)]
)
async def test_what_was_told_done_stays_done_when_the_journal_lags(
    world: World, verb: Verb, engine_verb: str, ended: SeenState
) -> None:
    await world.start()
    await run(world, restart_policy=RestartPolicy("always"))
    hanging = world.engine.faults.hang(engine_verb)
    await world.ask(intent(3, verb, force=True) if verb is Verb.DELETE else intent(3, verb))
    await world.settle(1)
    old = (world.state_dir / "journal").read_bytes()
    hanging.set()
    await world.until(ended, intent_done=3)
    await world.stop()
    (world.state_dir / "journal").write_bytes(old)
    await world.start()
    await world.settle(120)
    assert await world.state() is ended
    assert world.calls("start") == 1


async def test_an_interrupted_commit_tells_its_image_too(world: World) -> None:
    await world.start()
    await run(world)
    world.engine.faults.hang("commit")
    await world.ask(intent(3, Verb.COMMIT, repository="mine", image_uuid=uuid_of(9)))
    await world.settle(1)
    await world.stop()
    world.engine.faults.clear()
    await world.start()
    assert (await world.done("req-3")).error_status == 504
    image = await world.image_seen(uuid_of(9))
    assert image is not None
    assert image.state == "error"


async def test_an_interrupted_stop_is_finished(world: World) -> None:
    await world.start()
    await run(world)
    world.engine.faults.hang("stop")
    await world.ask(intent(3, Verb.STOP))
    await world.settle(1)
    await world.stop()
    world.engine.faults.clear()
    world.engine.end(world.only().handle, 0)
    await world.start()
    assert (await world.done("req-3")).message is None


async def test_while_the_control_plane_is_away_containers_are_looked_after_and_nothing_is_lost(world: World) -> None:
    away = AwayStore(world.store)
    away.away = False
    world.store = away
    await world.start()
    await run(world, restart_policy=RestartPolicy("always"))
    await world.ask(intent(3, Verb.KILL, signal="SIGHUP"))
    hanging = world.engine.faults.hang("kill")
    await world.settle(1)
    away.away = True
    hanging.set()
    world.engine.faults.clear()
    await world.settle(5)
    assert world.only().lives, "SIGHUP ended it and the restart policy brought it back, with nobody to tell"
    await world.settle(600)
    away.away = False
    assert (await world.done("req-3")).message is None
    await world.until(SeenState.RUNNING, intent_done=3)


async def everything(world: World) -> dict[str, Inbox]:
    """A bit of everything, asked for at once."""
    entries = [
        inbox(uuid_of(1), *run_intents(), files=1),
        inbox(uuid_of(2), *run_intents(), intent(3, Verb.KILL)),
        inbox(uuid_of(3), *run_intents(), intent(3, Verb.PAUSE), intent(4, Verb.UNPAUSE), intent(5, Verb.REBOOT)),
        inbox(uuid_of(4), *run_intents(), intent(3, Verb.REBUILD, run=True)),
        inbox(uuid_of(5), *run_intents(), intent(3, Verb.STOP), intent(4, Verb.DELETE)),
        inbox(uuid_of(6), intent(1, Verb.CREATE), intent(2, Verb.NETWORK_ATTACH, network="blue")),
    ]
    for entry in entries:
        await world.hand_blob(0, b"content", uuid=entry.uuid)
        await world.wish(entry)
    return {entry.uuid: entry for entry in entries}


@pytest.mark.parametrize("at", range(1, 155, 2))
async def test_killed_at_any_step_the_next_life_ends_where_the_first_would_have(world: World, at: int) -> None:
    world.engine.add_network("blue", "10.9.0.0/24")
    world.crashes = Crashes(at)
    entries = await everything(world)
    world.agent = world.make_agent()
    world.task = asyncio.ensure_future(world.agent.run())
    if not await world.crashed(20):
        with suppress(Crash):  # it lived so long that its end comes while it is told to stop
            await world.stop()
    world.crashes = None
    await world.start()
    for uuid, entry in entries.items():
        for request_id in {wanted.request_id for wanted in entry.intents}:
            result = await world.done(request_id, uuid)
            interrupted = request_id == "req-3" and uuid == uuid_of(2) and (result.message or "").startswith("Interr")
            assert result.message is None or interrupted
    await world.settle(70)
    states = {uuid: await world.state(uuid) for uuid in entries}
    assert states.pop(uuid_of(2)) in {SeenState.EXITED, SeenState.RUNNING}
    assert list(states.values()) == [
        SeenState.RUNNING,
        SeenState.RUNNING,
        SeenState.RUNNING,
        SeenState.GONE,
        SeenState.CREATED,
    ]
    for uuid, entry in entries.items():
        seen = await world.seen(uuid)
        assert seen is not None
        assert (seen.intent_done, seen.error) == (entry.seq, "")
        assert len(world.objects(uuid)) == (0 if uuid == uuid_of(5) else 1)
    assert world.calls("kill") <= 1
    assert {found.owner for found in world.engine.containers.values()} == {OWNER}
