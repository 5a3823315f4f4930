# SPDX-License-Identifier: Apache-2.0
"""From a wish to a running container, and through everything that can be asked of it."""

import pytest
from agent_records import C1, inbox, intent, run_intents, uuid_of
from agent_world import World

from zun.model.container import Mount, NetRequest
from zun.model.errors import Conflict, Internal, Invalid, Timeout, Unavailable
from zun.model.records import Claim, ImageSource, SeenState, Verb


async def test_a_wished_run_becomes_a_running_container_told_in_one_go(world: World) -> None:
    await world.start()
    await world.settle(1)
    calls = dict(world.engine.faults.calls)
    before = await world.store.revision()
    await world.wish(inbox(C1, *run_intents()))
    seen = await world.until(SeenState.RUNNING)
    result = await world.done("req-run")
    assert await world.store.revision() == before + 2, "the wish and one report"
    assert (seen.intent_done, seen.generation, seen.error) == (2, 1, "")
    assert seen.runtime_id == world.only().handle
    assert result.message is None
    assert [event.event for event in result.events] == [
        "compute__do_container_create",
        "image",
        "create",
        "compute__do_container_start",
        "start",
    ]
    assert all(event.result == "Success" and event.finish_time is not None for event in result.events)
    made = {verb: count - calls.get(verb, 0) for verb, count in world.engine.faults.calls.items()}
    assert {verb: count for verb, count in made.items() if count} == {"find": 1, "create": 1, "start": 1, "inspect": 1}


async def test_what_was_wished_is_what_the_engine_is_asked_for(world: World) -> None:
    await world.start()
    world.engine.add_network("blue", "10.9.0.0/24")
    entry = inbox(
        C1,
        *run_intents(),
        claim=Claim(millicpus=1500, memory_mib=64, cpuset="2,3"),
        environment={"A": "b"},
        nets=[NetRequest("blue", v4_fixed_ip="10.9.0.20")],
        mounts=[Mount("/data", source="stuff")],
        hostname="web",
    )
    await world.wish(entry)
    seen = await world.until(SeenState.RUNNING)
    request = world.only().request
    assert (request.cpu, request.memory_mib, request.cpuset) == (1.5, 64, "2,3")
    assert request.environment == {"A": "b"}
    assert request.hostname == "web"
    assert request.volumes[0].name == f"zun-{entry.project_id}-stuff"
    assert [address.addr for address in seen.addresses] == ["10.9.0.20"]


async def test_actions_follow_each_other_in_the_order_they_were_asked_for(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(
        intent(3, Verb.PAUSE),
        intent(4, Verb.UNPAUSE),
        intent(5, Verb.STOP),
        intent(6, Verb.START),
        intent(7, Verb.KILL),
    )
    for number in range(3, 8):
        assert (await world.done(f"req-{number}")).message is None
    seen = await world.until(SeenState.EXITED, intent_done=7)
    assert seen.exit_code == 137


async def test_stop_gives_grace_and_reports_what_was_seen(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.STOP, timeout_seconds=0))
    await world.until(SeenState.EXITED, intent_done=3)


async def test_reboot_starts_what_is_down_and_restarts_what_is_up(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    first = await world.until(SeenState.RUNNING)
    await world.settle()
    await world.ask(intent(3, Verb.REBOOT))
    second = await world.until(SeenState.RUNNING, intent_done=3)
    assert second.started_at != first.started_at
    await world.ask(intent(4, Verb.STOP), intent(5, Verb.REBOOT))
    await world.until(SeenState.RUNNING, intent_done=5)


async def test_rebuild_makes_a_new_object_and_runs_it_if_it_ran(world: World) -> None:
    await world.start()
    world.engine.add_image("other:2")
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    first = await world.until(SeenState.RUNNING)
    entry.image_source = ImageSource(reference="docker.io/library/other:2")
    entry.intents = [intent(3, Verb.REBUILD, run=True)]
    await world.wish(entry)
    second = await world.until(SeenState.RUNNING, intent_done=3)
    assert second.runtime_id != first.runtime_id
    assert world.only().request.image == "docker.io/library/other:2"
    entry.intents = [intent(4, Verb.STOP), intent(5, Verb.REBUILD)]
    await world.wish(entry)
    await world.until(SeenState.CREATED, intent_done=5)


async def test_a_rebuild_whose_image_cannot_be_had_leaves_the_old_container(world: World) -> None:
    await world.start()
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    entry.image_source = ImageSource(reference="docker.io/library/none:1", pull_policy="never")
    entry.intents = [intent(3, Verb.REBUILD, run=True)]
    await world.wish(entry)
    seen = await world.until(SeenState.RUNNING, intent_done=3)
    assert "pull policy is 'never'" in seen.error
    assert (await world.done("req-3")).error_status == 404


async def test_resize_gives_what_the_leader_granted(world: World) -> None:
    await world.start()
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    entry.claim = Claim(millicpus=2000, memory_mib=1024)
    entry.intents = [intent(3, Verb.RESIZE, cpu=2.0, memory=1024)]
    await world.wish(entry)
    assert (await world.done("req-3")).message is None
    assert world.calls("update") == 1


async def test_containers_without_cpus_of_their_own_stay_off_those_that_are_given_away(world: World) -> None:
    await world.start(dedicated_cpus="2-3,6")
    pinned, entry = uuid_of(2), inbox(C1, *run_intents())
    await world.wish(entry)
    await world.wish(inbox(pinned, *run_intents(), claim=Claim(millicpus=1000, memory_mib=64, cpuset="6")))
    await world.until(SeenState.RUNNING)
    await world.until(SeenState.RUNNING, uuid=pinned)
    assert world.only().request.cpuset == "0,1,4,5,7"
    assert world.only(pinned).request.cpuset == "6"
    entry.claim = Claim(millicpus=2000, memory_mib=1024)
    entry.intents = [intent(3, Verb.RESIZE, cpu=2.0, memory=1024)]
    await world.wish(entry)
    assert (await world.done("req-3")).message is None
    assert world.only().cpuset == "0,1,4,5,7"


async def test_a_refused_start_leaves_a_running_container_as_well_as_it_was(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.START, at=world.clock.now()))
    result = await world.done("req-3")
    assert result.message == f"Cannot start container {C1} in Running state."
    seen = await world.until(SeenState.RUNNING, intent_done=3)
    assert seen.error == ""


async def test_a_start_that_waited_for_a_place_comes_true_with_the_run_before_it(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents(), intent(3, Verb.START)))
    assert (await world.done("req-3")).message is None
    seen = await world.until(SeenState.RUNNING, intent_done=3)
    assert seen.error == ""


async def test_commit_says_which_image_it_made(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.COMMIT, repository="mine", tag="1", image_uuid=uuid_of(9)))
    result = await world.done("req-3")
    assert result.result is not None
    image = await world.image_seen(uuid_of(9))
    assert image is not None
    assert (image.state, image.image_id) == ("ready", result.result["image_id"])


async def test_networks_come_and_go_and_outlive_a_rebuild(world: World) -> None:
    await world.start()
    world.engine.add_network("blue", "10.9.0.0/24")
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.NETWORK_ATTACH, network="blue", fixed_ip="10.9.0.7"))
    assert (await world.done("req-3")).message is None
    await world.ask(intent(4, Verb.REBUILD, run=True))
    seen = await world.until(SeenState.RUNNING, intent_done=4)
    assert "10.9.0.7" in [address.addr for address in seen.addresses]
    await world.ask(intent(5, Verb.NETWORK_DETACH, network="blue"))
    seen = await world.until(SeenState.RUNNING, intent_done=5)
    assert "10.9.0.7" not in [address.addr for address in seen.addresses]
    await world.ask(intent(6, Verb.NETWORK_DETACH, network="blue"))
    failed = await world.done("req-6")
    assert failed.message
    assert failed.error_status == 404
    assert (await world.seen()).error == ""  # type: ignore[union-attr]


async def test_delete_removes_the_object_and_then_every_trace(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.DELETE, stop=True))
    assert (await world.done("req-3")).message is None
    assert await world.state() is SeenState.GONE
    assert world.objects() == []
    await world.unwish()
    await world.forgotten()
    await world.settle(1)
    assert (await world.store.range(f"/zun/v/out/node-1/e/{C1}")).items == ()


@pytest.mark.parametrize(
    ("verb", "state", "message"),
    [
        (Verb.STOP, SeenState.CREATED, "Cannot stop container {uuid} in Created state."),
        (Verb.PAUSE, SeenState.CREATED, "Cannot pause container {uuid} in Created state."),
        (Verb.KILL, SeenState.CREATED, "Cannot kill container {uuid} in Created state."),
        (Verb.COMMIT, SeenState.CREATED, "Cannot commit container {uuid} in Created state."),
    ],
)
async def test_an_intent_whose_time_has_passed_changes_nothing_and_says_so(
    world: World, verb: Verb, state: SeenState, message: str
) -> None:
    await world.start()
    await world.wish(inbox(C1, intent(1, Verb.CREATE)))
    await world.until(SeenState.CREATED)
    await world.ask(intent(2, verb, repository="mine"))
    result = await world.done("req-2")
    assert result.message == message.format(uuid=C1)
    assert (result.error_code, result.error_status) == ("invalid-state-exception", 409)
    seen = await world.until(state)
    assert seen.error == ""
    assert seen.intent_done == 2


async def test_an_action_on_what_just_ended_is_refused_by_what_is_true_then(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    hanging = world.engine.faults.hang("pause")
    await world.ask(intent(3, Verb.PAUSE))
    await world.settle(1)
    world.engine.end(world.only().handle, 3)
    hanging.set()
    assert (await world.done("req-3")).message == f"Cannot pause container {C1} in Stopped state."
    await world.until(SeenState.EXITED, exit_code=3)


async def test_a_failed_creation_is_an_error_and_its_start_is_not_tried(world: World) -> None:
    await world.start()
    world.runtime.fail("create", Invalid("The engine refuses this."))
    await world.wish(inbox(C1, *run_intents()))
    result = await world.done("req-run")
    seen = await world.seen()
    assert seen is not None
    assert (seen.error, seen.intent_done) == ("The engine refuses this.", 2)
    assert (result.message, result.n, result.error_status) == ("The engine refuses this.", 2, 400)
    assert world.calls("start") == 0
    await world.ask(intent(3, Verb.START))
    seen = await world.until(SeenState.RUNNING)
    assert seen.error == ""


async def test_what_the_engine_made_although_its_answer_got_lost_is_found_again(world: World) -> None:
    await world.start()
    for number, verb in ((1, Verb.START), (2, Verb.DELETE)):
        uuid = uuid_of(number)
        world.runtime.fail("create", Timeout("No answer."), after=True)
        await world.wish(inbox(uuid, *run_intents()))
        assert (await world.done("req-run", uuid)).message == "No answer."
        assert world.objects(uuid)
        await world.ask(intent(3, verb), uuid=uuid)
        assert (await world.done("req-3", uuid)).message is None
    assert world.only(uuid_of(1)).lives
    assert world.calls("create") == 2
    assert world.objects(uuid_of(2)) == []


async def test_a_failed_start_is_an_error_and_a_failed_pause_is_not(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents(), command=["no-such-program"]))
    assert "no-such-program" in ((await world.done("req-run")).message or "")
    seen = await world.seen()
    assert seen is not None
    assert "no-such-program" in seen.error
    other = uuid_of(2)
    await world.wish(inbox(other, *run_intents()))
    await world.until(SeenState.RUNNING, uuid=other)
    world.runtime.fail("pause", Conflict("Not now."))
    await world.ask(intent(3, Verb.PAUSE), uuid=other)
    assert (await world.done("req-3", other)).message == "Not now."
    seen = await world.until(SeenState.RUNNING, uuid=other)
    assert seen.error == ""


async def test_an_engine_that_restarts_in_between_is_waited_for(world: World) -> None:
    await world.start()
    world.runtime.fail("create", Unavailable("restarting"), times=2)
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    assert (await world.done("req-run")).message is None


async def test_a_deletion_outlasts_an_engine_that_is_away(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    world.engine.go_away()
    await world.ask(intent(3, Verb.DELETE, force=True))
    await world.settle(600)
    told, seen = await world.result("req-3"), await world.seen()
    assert told is not None
    assert told.finish_time is None
    assert seen is not None
    assert "does not answer" in seen.error, "people see why it takes so long"
    world.engine.come_back()
    assert (await world.until(SeenState.GONE)).error == ""
    assert (await world.done("req-3")).message is None
    assert world.objects() == []


async def test_a_deletion_is_tried_again_when_the_engine_fails(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    world.engine.faults.fail("remove", Internal("It was killed, but no exit event came."), times=3)
    await world.ask(intent(3, Verb.DELETE, force=True))
    assert (await world.done("req-3")).message is None
    assert world.objects() == []


async def test_a_forced_deletion_is_done_although_a_pause_came_before_it(world: World) -> None:
    await world.start()
    await world.wish(inbox(C1, *run_intents()))
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.PAUSE))
    await world.until(SeenState.PAUSED)
    await world.ask(intent(4, Verb.DELETE, force=True))  # it was accepted when the pause was not done yet
    await world.until(SeenState.GONE)
    assert world.objects() == []
