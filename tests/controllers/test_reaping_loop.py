# SPDX-License-Identifier: Apache-2.0
"""Clearing away: what goes when, what is left, and that quota comes back once, wherever the leader is cut off."""

import asyncio

import msgspec
import pytest

from controllers.stage import RETENTION, Crash, Dying, Meddling, a_loop, reaping, time_goes_by, until, wish
from support.records import T0, spec
from support.world import World
from zun.base.clock import ManualClock
from zun.controllers.reaping.history import UNDONE
from zun.model.records import (
    ActionEvent,
    ActionRecord,
    ContainerRecord,
    Inbox,
    Intent,
    NameClaim,
    Observation,
    SeenState,
    Usage,
    Verb,
)
from zun.model.resources import add, usage_of
from zun.store import codec, keys
from zun.store.fencing import Fence, LeadershipLost
from zun.store.interface import Put


async def accepted(world: World, wished: ContainerRecord) -> None:
    """What services write when they accept: the wish, its actions, the quota it takes."""
    usage, _ = world.view.usage(wished.project_id)
    actions = [
        Put(keys.action(wished.uuid, intent.request_id), codec.encode(an_action(wished, intent.n, intent.verb)))
        for intent in wished.intents
    ]
    await world.write(
        Put(keys.container(wished.uuid), codec.encode(wished)),
        Put(keys.quota(wished.project_id), codec.encode(add(usage, usage_of(wished.spec)))),
        *actions,
    )


def an_action(wished: ContainerRecord, n: int, verb: Verb) -> ActionRecord:
    return ActionRecord(verb.value, f"req-{n}", wished.uuid, wished.project_id, "u1", T0, n=n)


async def gone(world: World, uuid: str) -> None:
    """Wait until nothing wishes the container any more."""
    await until(world, lambda: world.view.container(uuid) is None)


async def history(world: World, uuid: str) -> dict[str, ActionRecord]:
    """Its lines of history, by action."""
    found = await world.store.range(keys.actions(uuid))
    return {action.action: action for item in found.items for action in [codec.decode(ActionRecord, item.value)]}


async def left_of(world: World, uuid: str) -> list[str]:
    """All keys that name the container, but its history."""
    everything = await world.store.range("/zun/")
    return [item.key for item in everything.items if uuid in item.key and not item.key.startswith(keys.ACTIONS)]


async def test_a_container_its_node_reports_gone_is_cleared_away_completely(world: World, fence: Fence) -> None:
    await world.node("n1")
    name = keys.unique_name("p1", "web")
    wished = wish(Verb.CREATE, Verb.START, Verb.DELETE, names=[name], spec=spec(disk=2))
    async with reaping(world, fence):
        await accepted(world, wished)
        address = keys.address("n1:lab", "10.9.0.7")
        await world.write(
            Put(name, codec.encode(NameClaim(wished.uuid))),
            Put(address, codec.encode(NameClaim(wished.uuid))),
            Put(keys.blob("n1", wished.uuid, 0), b"sealed"),
            Put(keys.stage(wished.uuid, 0), b"staged"),
        )
        await world.place(wished.uuid, "n1", addresses=[address])
        await world.finishes(wished.uuid, "req-1", events=[ActionEvent("create", T0, T0 + 1, "Success")])
        await world.finishes(wished.uuid, "req-2", message="it would not start")
        await world.sees(wished.uuid, SeenState.GONE)
        await gone(world, wished.uuid)
    assert await left_of(world, wished.uuid) == [
        keys.action_result("n1", wished.uuid, "req-1"),
        keys.action_result("n1", wished.uuid, "req-2"),
        keys.observation("n1", wished.uuid),
    ]  # the node's own, which it drops when its inbox entry is gone
    assert [await world.store.get(key) for key in (name, address)] == [None, None]
    assert world.view.usage("p1")[0] == Usage()
    lines = await history(world, wished.uuid)
    assert [lines[verb].message for verb in ("create", "start", "delete")] == [None, "it would not start", None]
    assert [event.event for event in lines["create"].events] == ["schedule", "create"]
    assert lines["create"].events[1] == ActionEvent("create", T0, T0 + 1, "Success")
    assert all(line.finish_time and line.expires_at == world.clock.now() + RETENTION for line in lines.values())


async def test_a_container_that_ended_and_removed_itself_goes_without_being_asked(world: World, fence: Fence) -> None:
    await world.node("n1")
    wished = wish(spec=spec(auto_remove=True))
    async with reaping(world, fence):
        await accepted(world, wished)
        await world.place(wished.uuid)
        await world.sees(wished.uuid, SeenState.GONE)
        await gone(world, wished.uuid)
    assert world.view.usage("p1")[0] == Usage()


@pytest.mark.parametrize("refused", [False, True])
async def test_a_container_without_place_goes_at_once(world: World, fence: Fence, refused: bool) -> None:
    wished = wish(Verb.CREATE)
    async with reaping(world, fence):
        await accepted(world, wished)
        if refused:
            await world.cannot_place(wished.uuid)
        await accepted_delete(world, wished)
        await gone(world, wished.uuid)
    assert await left_of(world, wished.uuid) == []
    lines = await history(world, wished.uuid)
    assert (lines["create"].message, lines["delete"].message) == (UNDONE, None)


async def accepted_delete(world: World, wished: ContainerRecord) -> None:
    deleting = wish(*(intent.verb for intent in wished.intents), Verb.DELETE, uuid=wished.uuid, spec=wished.spec)
    await world.write(
        Put(keys.container(wished.uuid), codec.encode(deleting)),
        Put(
            keys.action(wished.uuid, f"req-{deleting.seq}"),
            codec.encode(an_action(wished, deleting.seq, Verb.DELETE)),
        ),
    )


async def test_a_living_node_is_waited_for(world: World, fence: Fence) -> None:
    await world.node("n1")
    waiting, unplaced = wish(Verb.DELETE), wish(Verb.DELETE)
    await accepted(world, waiting)
    await world.place(waiting.uuid)
    async with reaping(world, fence):
        await world.sees(waiting.uuid, SeenState.RUNNING, done=0)
        await accepted(world, unplaced)
        await gone(world, unplaced.uuid)
    assert world.view.container(waiting.uuid) is not None


async def test_what_an_earlier_place_reported_does_not_count(world: World, fence: Fence) -> None:
    await world.node("n1")
    moved, unplaced = wish(), wish(Verb.DELETE)
    await accepted(world, moved)
    await world.place(moved.uuid, generation=2)
    async with reaping(world, fence):
        await world.sees(moved.uuid, SeenState.GONE, generation=1)
        await accepted(world, unplaced)
        await gone(world, unplaced.uuid)
    assert world.view.container(moved.uuid) is not None


async def test_on_a_dead_node_it_goes_at_once_and_the_node_finds_the_order_when_it_returns(
    world: World, fence: Fence
) -> None:
    await world.node("n1")
    wished = wish(Verb.CREATE, Verb.START, Verb.DELETE)
    async with reaping(world, fence):
        await accepted(world, wished)
        await world.place(wished.uuid)
        await world.sees(wished.uuid, SeenState.RUNNING, done=2)
        await world.node_dies("n1")
        await gone(world, wished.uuid)
        assert world.view.usage("p1")[0] == Usage()
        order = await the_order(world, wished.uuid)
        assert order is not None
        assert (order.absent, order.generation, order.intents) == (True, 1, [])
        detail = (await history(world, wished.uuid))["delete"].events[0].detail
        assert detail == "Node n1 does not report; what it has of the container is removed when it returns."

        await world.node_returns("n1")
        await report_gone(world, wished.uuid)
        await until_order_is_out(world, wished.uuid)


async def the_order(world: World, uuid: str) -> Inbox | None:
    found = await world.store.get(keys.inbox("n1", uuid))
    return codec.decode(Inbox, found.value) if found is not None else None


async def report_gone(world: World, uuid: str) -> None:
    await world.put(keys.observation("n1", uuid), Observation(uuid, 1, SeenState.GONE, intent_done=4))


async def until_order_is_out(world: World, uuid: str) -> None:
    changes = world.view.subscribe()
    async with asyncio.timeout(60):
        while await the_order(world, uuid) is not None:
            await changes.batch()


async def test_an_order_carried_out_while_nobody_led_is_found_by_the_next_leader(world: World, fence: Fence) -> None:
    await world.node("n1")
    wished = wish(Verb.DELETE)
    await accepted(world, wished)
    await world.place(wished.uuid)
    await world.node_dies("n1")
    async with reaping(world, fence):
        await gone(world, wished.uuid)
    await report_gone(world, wished.uuid)
    assert await the_order(world, wished.uuid) is not None
    async with reaping(world, fence):
        await until_order_is_out(world, wished.uuid)


async def test_an_order_is_not_left_when_the_node_returns_and_says_gone_in_the_last_moment(
    world: World, fence: Fence, clock: ManualClock
) -> None:
    await world.node("n1")
    wished = wish(Verb.DELETE)
    await accepted(world, wished)
    await world.place(wished.uuid)
    await world.node_dies("n1")
    said = Put(
        keys.observation("n1", wished.uuid),
        codec.encode(Observation(wished.uuid, 1, SeenState.GONE, intent_done=4)),
    )
    meddled = Meddling(world.store, keys.container(wished.uuid), said)
    async with reaping(world, Fence(meddled, clock, fence.leadership)):
        await gone(world, wished.uuid)
        await until_order_is_out(world, wished.uuid)


async def test_many_of_one_project_go_together_and_the_quota_is_right(world: World, fence: Fence) -> None:
    kept = wish()
    doomed = [wish(Verb.CREATE, Verb.DELETE) for _ in range(40)]
    for one in [kept, *doomed]:
        await accepted(world, one)
    before = world.view.revision
    async with reaping(world, fence):
        for one in doomed:
            await gone(world, one.uuid)
    assert world.view.usage("p1")[0] == usage_of(kept.spec)
    assert world.view.revision - before < 10


async def test_quota_that_changes_meanwhile_is_read_again(world: World, fence: Fence, clock: ManualClock) -> None:
    doomed = wish(Verb.DELETE)
    await accepted(world, doomed)
    more = add(world.view.usage("p1")[0], Usage(containers=5))
    meddled = Meddling(world.store, keys.container(doomed.uuid), Put(keys.quota("p1"), codec.encode(more)))
    async with reaping(world, Fence(meddled, clock, fence.leadership)), time_goes_by(clock):
        await gone(world, doomed.uuid)
    assert world.view.usage("p1")[0] == Usage(containers=5)


async def test_a_long_history_is_kept_whole(world: World, fence: Fence) -> None:
    wished = wish(Verb.CREATE, Verb.DELETE)
    for number in range(10, 310):
        await world.put(keys.action(wished.uuid, f"req-{number}"), an_action(wished, number, Verb.STOP))
    async with reaping(world, fence):
        await accepted(world, wished)
        await gone(world, wished.uuid)
    found = await world.store.range(keys.actions(wished.uuid))
    assert len(found.items) == 302
    assert all(codec.decode(ActionRecord, item.value).expires_at for item in found.items)


async def test_old_history_is_forgotten_and_that_of_living_containers_kept(
    world: World, fence: Fence, clock: ManualClock
) -> None:
    wished = wish()
    await accepted(world, wished)
    for number, expires_at in enumerate([clock.now() - 1, clock.now() + 50, None]):
        line = msgspec.structs.replace(an_action(wished, number, Verb.STOP), expires_at=expires_at)
        await world.put(keys.action("other", f"req-{number}"), line)
    async with reaping(world, fence, purge_interval_seconds=100), asyncio.timeout(60):
        changes = world.view.subscribe()
        while len((await world.store.range(keys.actions("other"))).items) > 2:
            await changes.batch()
        clock.advance(101)
        while len((await world.store.range(keys.actions("other"))).items) > 1:
            await changes.batch()
    assert len((await world.store.range(keys.actions(wished.uuid))).items) == 2


@pytest.mark.parametrize("written", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("last", [1, 2, 3, 4])
async def test_wherever_the_leader_dies_quota_comes_back_once(
    world: World, fence: Fence, clock: ManualClock, last: int, written: bool
) -> None:
    await world.node("n1")
    kept, unplaced, reported, long = wish(), wish(Verb.DELETE), wish(Verb.CREATE, Verb.DELETE), wish(Verb.DELETE)
    other = wish(Verb.DELETE, project_id="p2")
    dead = wish(Verb.DELETE)
    for one in (kept, unplaced, reported, long, other, dead):
        await accepted(world, one)
    for number in range(10, 230):
        await world.put(keys.action(long.uuid, f"req-{number}"), an_action(long, number, Verb.STOP))
    await world.place(reported.uuid)
    await world.sees(reported.uuid, SeenState.GONE)
    await world.node("n2")
    await world.place(dead.uuid, "n2")
    await world.node_dies("n2")
    dying = Dying(world.store, last, written=written)
    with pytest.raises(ExceptionGroup) as died:
        await asyncio.wait_for(a_loop(world, dying).run(Fence(dying, clock, fence.leadership)), 60)
    assert died.group_contains(Crash)
    async with reaping(world, fence):
        for one in (unplaced, reported, long, other, dead):
            await gone(world, one.uuid)
    assert world.view.usage("p1")[0] == usage_of(kept.spec)
    assert world.view.usage("p2")[0] == Usage()
    for one in (unplaced, reported, long, other, dead):
        lines = (await world.store.range(keys.actions(one.uuid))).items
        assert all(codec.decode(ActionRecord, item.value).expires_at for item in lines)
    assert len((await world.store.range(keys.actions(long.uuid))).items) == 221


async def test_a_leader_that_was_replaced_removes_nothing(world: World, fence: Fence) -> None:
    await accepted(world, doomed := wish(Verb.DELETE))
    await world.write(Put(keys.leader("controller"), b"somebody else"))
    with pytest.raises(ExceptionGroup) as stopped:
        await asyncio.wait_for(a_loop(world).run(fence), 60)
    assert stopped.group_contains(LeadershipLost)
    assert world.view.container(doomed.uuid) is not None


async def test_a_node_that_tells_nonsense_of_actions_cannot_keep_a_container(world: World, fence: Fence) -> None:
    await world.node("n1")
    wished = wish(Verb.CREATE, Verb.START, Verb.DELETE)
    async with reaping(world, fence):
        await accepted(world, wished)
        await world.place(wished.uuid)
        await world.write(
            Put(keys.action_result("n1", wished.uuid, "req-1"), b"{"),
            Put(keys.action_result("n1", wished.uuid, "req-2"), b"[" * 100_000),
        )
        await world.node_dies("n1")
        await gone(world, wished.uuid)
    assert world.view.usage("p1")[0] == Usage()


async def test_a_container_that_goes_during_a_resize_gives_all_back_that_it_held(world: World, fence: Fence) -> None:
    await world.node("n1")
    wished = wish(Verb.CREATE, Verb.START, Verb.DELETE, spec=spec(memory=100))
    wished.intents.append(Intent(9, Verb.RESIZE, "req-9", T0, memory=100, memory_before=700))
    async with reaping(world, fence):
        await accepted(world, wished)
        await world.put(keys.quota("p1"), Usage(1, usage_of(wished.spec).millicpus, 700, usage_of(wished.spec).disk))
        await world.place(wished.uuid)
        await world.sees(wished.uuid, SeenState.GONE, done=3)
        await gone(world, wished.uuid)
    assert world.view.usage("p1")[0] == Usage()
