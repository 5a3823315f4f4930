# SPDX-License-Identifier: Apache-2.0
"""History: put together from the request, the leader and the node; it outlives the container and stays in its project."""

import msgspec
import pytest

from support.desk import P2, Desk, context, desk_in
from support.world import World
from zun.base.ids import new_uuid
from zun.model.errors import Denied, NotFound
from zun.model.records import ActionEvent, ActionRecord, SeenState, Verb
from zun.services.options import ContainerOptions
from zun.store import codec, keys


async def test_a_history_says_what_was_asked_decided_and_done_newest_first(desk: Desk) -> None:
    first, second = context(), context()
    entry = await desk.create(first, run=True)
    now = entry.created_at
    await desk.world.place(entry.uuid, at=now + 0.25, why="the only node")
    await desk.world.sees(entry.uuid, SeenState.RUNNING)
    steps = [
        ("compute__do_container_create", 0.5, 1.75),
        ("image", 0.5, 1.5),
        ("create", 1.5, 1.75),
        ("compute__do_container_start", 1.75, 2.0),
        ("start", 1.75, 2.0),
    ]
    events = [ActionEvent(step, now + begin, now + end, "Success") for step, begin, end in steps]
    await desk.world.finishes(entry.uuid, first.request_id, events=events, finish_time=now + 2.0)
    await desk.service.act(second, entry, Verb.STOP)

    stop, create = await desk.service.actions(context(roles=("reader",)), "web")
    assert (stop.action, stop.request_id, stop.finish_time, stop.message) == ("stop", second.request_id, None, None)
    assert (create.action, create.message, create.why) == ("create", None, "the only node")
    assert [event.event for event in create.events] == ["accept", "schedule", *[step for step, _, _ in steps]]
    timings = create.timings
    assert (timings["pull"], timings["create"], timings["start"], timings["deliver"]) == (1000, 250, 250, 250)
    assert timings["schedule"] == pytest.approx(250, abs=1)
    assert timings["total"] == pytest.approx(2000, abs=100)
    assert timings["accept"] < 100
    assert await desk.service.action(context(), entry.uuid, second.request_id) == stop


async def test_a_failure_and_an_interruption_are_told_as_the_node_told_them(desk: Desk) -> None:
    entry, ctx = await desk.create(run=True), context()
    await desk.world.running(entry.uuid)
    await desk.service.act(ctx, entry, Verb.KILL)
    cut = ActionEvent("compute__do_kill", 1.0, 2.0, "Interrupted", "the agent was restarted")
    await desk.world.finishes(entry.uuid, ctx.request_id, message="Interrupted", events=[cut])
    action = await desk.service.action(context(), entry.uuid, ctx.request_id)
    assert (action.message, action.events[-1].result) == ("Interrupted", "Interrupted")


async def test_a_container_that_found_no_host_says_why(desk: Desk) -> None:
    ctx = context()
    entry = await desk.create(ctx)
    await desk.world.cannot_place(entry.uuid)
    action = await desk.service.action(context(), entry.uuid, ctx.request_id)
    assert action.message == "There are not enough hosts available."
    assert action.why == "0 of 1 nodes"
    assert action.finish_time is not None


async def test_a_start_that_found_no_host_either_has_ended(desk: Desk) -> None:
    ctx = context()
    entry = await desk.create()
    await desk.world.cannot_place(entry.uuid)
    await desk.service.act(ctx, entry, Verb.START)
    await desk.world.cannot_place(entry.uuid)
    action = await desk.service.action(context(), entry.uuid, ctx.request_id)
    assert (action.action, action.message) == ("start", "There are not enough hosts available.")
    assert action.finish_time is not None


async def test_a_history_outlives_its_container_under_its_uuid(desk: Desk) -> None:
    ctx = context()
    entry = await desk.create(ctx, name="short-lived")
    await desk.world.reaped(entry.uuid)
    (action,) = await desk.service.actions(context(), entry.uuid)
    assert action.request_id == ctx.request_id
    for who, ident in ((context(), "short-lived"), (context(P2), entry.uuid), (context(), new_uuid())):
        with pytest.raises(NotFound) as refusal:
            await desk.service.actions(who, ident)
        assert refusal.value.code == "container-not-found"
    assert len(await desk.service.actions(context(P2, admin=True), entry.uuid)) == 1


async def test_the_leaders_part_is_told_as_a_step_with_its_reason(desk: Desk) -> None:
    ctx = context()
    entry = await desk.create(ctx)
    await desk.world.place(entry.uuid, why="most room")
    action = await desk.service.action(context(), entry.uuid, ctx.request_id)
    assert [(event.event, event.detail) for event in action.events] == [("accept", None), ("schedule", "most room")]
    assert action.finish_time is None


async def test_other_projects_and_people_without_role_see_no_history(desk: Desk) -> None:
    entry = await desk.create()
    with pytest.raises(NotFound):
        await desk.service.actions(context(P2), entry.uuid)
    with pytest.raises(Denied):
        await desk.service.actions(context(roles=()), entry.uuid)


async def test_an_unknown_action_is_not_found(desk: Desk) -> None:
    entry = await desk.create()
    with pytest.raises(NotFound) as refusal:
        await desk.service.action(context(), entry.uuid, "req-none")
    assert refusal.value.code == "resource-not-found"


async def test_a_line_that_the_leader_completed_stands_as_it_is(desk: Desk) -> None:
    ctx = context()
    entry = await desk.create(ctx)
    key = keys.action(entry.uuid, ctx.request_id)
    found = await desk.world.store.get(key)
    assert found is not None
    done = msgspec.structs.replace(codec.decode(ActionRecord, found.value), finish_time=5.0, message="over")
    await desk.world.put(key, done)
    await desk.world.reaped(entry.uuid)
    action = await desk.service.action(context(), entry.uuid, ctx.request_id)
    assert (action.finish_time, action.message) == (5.0, "over")


async def test_the_history_of_a_long_life_is_bounded_but_keeps_what_is_not_done(world: World) -> None:
    async with desk_in(world, ContainerOptions(history_actions=16)) as desk:
        entry = await desk.create(run=True)
        await world.running(entry.uuid)
        for _ in range(100):
            await desk.service.act(context(), entry, Verb.KILL, signal="HUP")
            await world.sees(entry.uuid, SeenState.RUNNING)
        lines = [action.request_id for action in await desk.service.actions(context(), entry.uuid)]
        assert 16 <= len(lines) <= 33
        waiting = context()
        await desk.service.act(waiting, entry, Verb.STOP)
        assert (await desk.service.actions(context(), entry.uuid))[0].request_id == waiting.request_id
