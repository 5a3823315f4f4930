# SPDX-License-Identifier: Apache-2.0
"""What waits for what: long stops, forced deletions, parallel work, newer generations; and what a container brings along."""

from agent_records import C1, inbox, intent, run_intents, uuid_of
from agent_world import World

from zun.model.container import Mount
from zun.model.errors import Denied
from zun.model.records import ImageSource, SeenState, Verb


async def test_a_long_stop_holds_up_neither_others_nor_a_forced_deletion(world: World) -> None:
    await world.start(parallel_operations=1)
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    world.engine.faults.hang("stop")
    await world.ask(intent(3, Verb.STOP, timeout_seconds=600))
    await world.settle(1)
    began = world.clock.monotonic()
    await world.wish(inbox(uuid_of(2), *run_intents()))
    await world.until(SeenState.RUNNING, uuid=uuid_of(2))
    await world.ask(intent(4, Verb.DELETE, force=True))
    stopped, deleted = await world.done("req-3"), await world.done("req-4")
    assert world.clock.monotonic() - began < 60
    assert stopped.message == "The stop was cut short: a deletion was asked for."
    assert deleted.message is None
    assert await world.state() is SeenState.GONE


async def test_an_intent_behind_which_a_forced_deletion_waits_is_not_begun(world: World) -> None:
    await world.wish(inbox(C1, *run_intents(), intent(3, Verb.DELETE, force=True)))
    await world.start()
    assert (await world.done("req-3")).message is None
    assert "cut short" in ((await world.done("req-run")).message or "")
    assert world.calls("create") == 0


async def test_sigkill_ends_the_grace_of_a_stop(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    world.engine.faults.hang("stop")
    await world.ask(intent(3, Verb.STOP, timeout_seconds=600))
    await world.settle(1)
    await world.ask(intent(4, Verb.KILL, signal="SIGKILL"))
    assert (await world.done("req-4", seconds=60)).message is None
    await world.until(SeenState.EXITED, exit_code=137)


async def test_containers_are_worked_on_side_by_side_up_to_the_bound(world: World) -> None:
    await world.start(parallel_operations=4)
    world.engine.faults.delay("create", 10)
    began = world.clock.monotonic()
    for number in range(1, 9):
        await world.wish(inbox(uuid_of(number), *run_intents()))
    for number in range(1, 9):
        await world.until(SeenState.RUNNING, uuid=uuid_of(number))
    assert 20 <= world.clock.monotonic() - began < 25


async def test_a_step_that_takes_longer_than_a_moment_is_shown(world: World) -> None:
    await world.start()
    world.engine.faults.delay("create", 10)
    await world.wish(inbox(C1, *run_intents()))
    await world.settle(2)
    seen = await world.seen()
    assert seen is not None
    assert (seen.state, seen.doing) == (SeenState.ABSENT, 1)
    result = await world.result("req-run")
    assert result is not None
    assert result.finish_time is None


async def test_a_newer_generation_replaces_the_older_object(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    old = world.only().handle
    await world.wish(inbox(C1, *run_intents(), intent(3, Verb.PAUSE), generation=2))
    seen = await world.until(SeenState.PAUSED, intent_done=3)
    assert seen.generation == 2
    assert world.only().handle != old
    assert world.only().request.generation == 2


async def test_an_entry_of_an_older_generation_is_ignored(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents(), generation=2))
    await world.until(SeenState.RUNNING)
    await world.wish(inbox(C1, intent(1, Verb.CREATE), intent(2, Verb.START), intent(3, Verb.STOP), generation=1))
    await world.settle()
    assert await world.state() is SeenState.RUNNING
    assert world.only().request.generation == 2


async def test_injected_files_are_there_and_go_with_the_container(world: World) -> None:
    await world.start()
    await world.hand_blob(0, b"hello\n")
    await world.wish(inbox(C1, *run_intents(), files=1, mounts=[Mount("/etc/motd", file=0)]))
    await world.until(SeenState.RUNNING)
    mount = world.only().request.files[0]
    path = world.state_dir / "files" / C1 / "0"
    assert (mount.host_path, mount.destination) == (str(path), "/etc/motd")
    assert path.read_bytes() == b"hello\n"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await world.ask(intent(3, Verb.DELETE, force=True))
    await world.done("req-3")
    assert not path.parent.exists()


async def test_a_missing_file_is_said_before_anything_is_made(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents(), files=1, mounts=[Mount("/etc/motd", file=0)]))
    assert "did not reach its node" in ((await world.done("req-run")).message or "")
    assert world.objects() == []


async def test_a_private_image_is_pulled_with_the_sealed_login(world: World) -> None:
    await world.start()
    world.engine.any_image = False
    world.engine.add_remote_image("reg.example:5000/app:1", username="ann", password="secret")
    await world.hand_blob(0, b'{"username":"ann","password":"secret","server":"reg.example:5000"}')
    source = ImageSource(reference="reg.example:5000/app:1", credentials=True)
    await world.wish(inbox(C1, *run_intents(), source=source))
    await world.until(SeenState.RUNNING)
    wrong = uuid_of(2)
    world.engine.images.clear()
    await world.hand_blob(0, b'{"username":"ann","password":"wrong","server":"reg.example:5000"}', uuid=wrong)
    await world.wish(inbox(wrong, *run_intents(), source=source))
    assert (await world.done("req-run", wrong)).error_status == Denied("").http_status
