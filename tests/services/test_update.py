# SPDX-License-Identifier: Apache-2.0
"""Changing containers: names, and resources that the leader grants and the node gives."""

import asyncio

import msgspec
import pytest

from support.desk import P1, Desk, context, desk_in
from support.world import World
from zun.model.caller import RequestContext
from zun.model.creation import ContainerChanges
from zun.model.errors import Conflict, NotFound, QuotaExceeded, Timeout, Unsupported, ZunError
from zun.model.inbox import inbox_of
from zun.model.records import ActionRecord, Claim, Inbox, Limits, SeenState, Verb
from zun.services.options import ContainerOptions
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.view import ContainerEntry

MORE = ContainerChanges(memory=1024)


async def running(desk: Desk, **fields: object) -> ContainerEntry:
    entry = await desk.create(run=True, memory=512, **fields)
    await desk.world.running(entry.uuid)
    return entry


async def leader_decides(world: World, entry: ContainerEntry, refusal: str | None = None) -> None:
    """What the leader writes for the waiting resize."""
    record, place = entry.record(), entry.place()
    assert place is not None
    number = next(intent.n for intent in record.intents if intent.verb is Verb.RESIZE)
    place.resize_done = number
    if refusal is None:
        place.claim = Claim(place.claim.millicpus, record.spec.memory)
    else:
        place.resize_refused = {number: refusal}
    await world.write(
        Put(keys.place(entry.uuid), codec.encode(place)),
        Put(keys.inbox("n1", entry.uuid), codec.encode(inbox_of(record, place))),
    )


def resizing(entry: ContainerEntry) -> bool:
    return any(intent.verb is Verb.RESIZE for intent in entry.record().intents)


async def until_resizing(world: World, entry: ContainerEntry) -> None:
    await world.until(lambda: resizing(entry))


async def settled(world: World, entry: ContainerEntry) -> None:
    await world.until(lambda: not resizing(entry))


def update(desk: Desk, ctx: RequestContext, entry: ContainerEntry) -> "asyncio.Future[ContainerEntry]":
    return asyncio.ensure_future(desk.service.update(ctx, entry, MORE))


async def test_an_update_waits_for_the_leader_and_the_node(desk: Desk) -> None:
    entry, ctx = await running(desk), context()
    call = update(desk, ctx, entry)
    await until_resizing(desk.world, entry)
    in_box = await desk.world.store.get(keys.inbox("n1", entry.uuid))
    assert in_box is not None
    assert not any(intent.verb is Verb.RESIZE for intent in codec.decode(Inbox, in_box.value).intents)
    assert desk.world.view.usage(P1)[0].memory == 1024
    await leader_decides(desk.world, entry)
    assert not call.done()
    await desk.world.finishes(entry.uuid, ctx.request_id)
    await desk.world.sees(entry.uuid, SeenState.RUNNING)
    assert await call is entry
    assert entry.record().spec.memory == 1024
    await settled(desk.world, entry)
    assert desk.world.view.usage(P1)[0].memory == 1024


async def test_what_the_leader_refuses_is_put_back_in_spec_quota_and_told(desk: Desk) -> None:
    entry, ctx = await running(desk), context()
    call = update(desk, ctx, entry)
    await until_resizing(desk.world, entry)
    await leader_decides(desk.world, entry, "Node n1 cannot give that: not enough memory.")
    with pytest.raises(Conflict, match="not enough memory"):
        await call
    assert entry.record().spec.memory == 512
    assert entry.record().intents == []
    assert desk.world.view.usage(P1)[0].memory == 512
    line = await desk.world.store.get(keys.action(entry.uuid, ctx.request_id))
    assert line is not None
    action = codec.decode(ActionRecord, line.value)
    assert action.finish_time is not None
    assert action.message == "Node n1 cannot give that: not enough memory."


async def test_what_the_node_fails_to_do_is_taken_back_from_the_leader_too(desk: Desk) -> None:
    entry, ctx = await running(desk), context()
    call = update(desk, ctx, entry)
    await until_resizing(desk.world, entry)
    await leader_decides(desk.world, entry)
    await desk.world.finishes(entry.uuid, ctx.request_id, message="no", error_code="conflict", error_status=409)
    await desk.world.sees(entry.uuid, SeenState.RUNNING)
    with pytest.raises(ZunError) as failure:
        await call
    assert (failure.value.http_status, failure.value.message) == (409, "no")
    assert entry.record().spec.memory == 512
    assert desk.world.view.usage(P1)[0].memory == 512
    (back,) = entry.record().intents
    assert (back.verb, back.memory) == (Verb.RESIZE, 512)
    await leader_decides(desk.world, entry)
    place = entry.place()
    assert place is not None
    assert place.claim.memory_mib == 512
    await desk.world.finishes(entry.uuid, back.request_id)
    await desk.world.sees(entry.uuid, SeenState.RUNNING)
    await settled(desk.world, entry)
    assert desk.world.view.usage(P1)[0].memory == 512


async def test_a_resize_nobody_waits_for_is_settled_all_the_same(desk: Desk) -> None:
    entry = await running(desk)
    await desk.service.resize(context(), entry, MORE)
    assert entry.record().spec.memory == 1024
    await leader_decides(desk.world, entry, "no room")
    await settled(desk.world, entry)
    assert entry.record().spec.memory == 512
    assert desk.world.view.usage(P1)[0].memory == 512


async def test_a_refusal_that_came_while_no_service_ran_is_settled_by_the_next(world: World) -> None:
    async with desk_in(world) as desk:
        entry = await running(desk)
        await desk.service.resize(context(), entry, MORE)
    await leader_decides(world, entry, "no room")
    async with desk_in(world):
        await settled(desk.world, entry)
    assert entry.record().spec.memory == 512
    assert world.view.usage(P1)[0].memory == 512


async def test_another_action_does_not_lose_a_resize_that_is_not_settled(world: World) -> None:
    async with desk_in(world) as desk:
        entry = await running(desk)
        await desk.service.resize(context(), entry, MORE)
    await leader_decides(world, entry, "no room")
    unsettled = desk.service
    await unsettled.act(context(), entry, Verb.STOP)
    async with desk_in(world):
        await settled(desk.world, entry)
    assert [intent.verb for intent in entry.record().intents] == [Verb.STOP]
    assert world.view.usage(P1)[0].memory == 512


async def test_growth_is_held_against_the_quota_and_shrinking_never(world: World) -> None:
    async with desk_in(world, limits=Limits(containers=-1, cpu=-1, memory=600, disk=-1)) as desk:
        entry = await running(desk)
        before = await world.store.revision()
        with pytest.raises(QuotaExceeded, match=r"\['memory'\]$"):
            await desk.service.resize(context(), entry, MORE)
        assert await world.store.revision() == before
        await world.put(keys.project_limits(P1), Limits(memory=100))
        await desk.service.resize(context(), entry, ContainerChanges(memory=400))
        assert entry.record().spec.memory == 400


async def test_one_resize_at_a_time(desk: Desk) -> None:
    entry = await running(desk)
    await desk.service.resize(context(), entry, MORE)
    with pytest.raises(Conflict, match="already"):
        await desk.service.resize(context(), entry, ContainerChanges(memory=600))


async def test_the_next_resize_need_not_wait_until_somebody_has_seen_to_the_one_before(world: World) -> None:
    async with desk_in(world) as desk:
        entry, ctx = await running(desk), context()
        await desk.service.resize(ctx, entry, MORE)
    await leader_decides(world, entry)
    await world.finishes(entry.uuid, ctx.request_id)
    await world.sees(entry.uuid, SeenState.RUNNING)
    await desk.service.resize(context(), entry, ContainerChanges(memory=600))
    assert [intent.memory for intent in entry.record().intents] == [600]
    assert world.view.usage(P1)[0].memory == 1024


async def test_an_update_without_news_for_the_node_does_not_wait(desk: Desk) -> None:
    entry = await running(desk)
    changes = ContainerChanges(memory=512, cpu=1.0, name="other", auto_heal=True)
    await desk.service.update(context(), entry, changes)
    record = entry.record()
    assert (record.spec.name, record.spec.auto_heal, record.intents) == ("other", True, [])
    found = await desk.world.store.get(keys.inbox("n1", entry.uuid))
    assert found is not None
    assert codec.decode(Inbox, found.value).spec.auto_heal
    assert await desk.service.update(context(), entry, ContainerChanges()) is entry


async def test_a_node_that_does_not_answer_ends_the_wait_but_not_the_resize(world: World) -> None:
    async with desk_in(world, msgspec.structs.replace(ContainerOptions(), update_timeout_seconds=0.01)) as desk:
        entry = await running(desk)
        with pytest.raises(Timeout):
            await desk.service.update(context(), entry, MORE)
        assert entry.record().spec.memory == 1024


async def test_a_container_that_goes_away_meanwhile_is_not_found(desk: Desk) -> None:
    entry = await running(desk)
    call = update(desk, context(), entry)
    await until_resizing(desk.world, entry)
    await desk.world.reaped(entry.uuid)
    with pytest.raises(NotFound):
        await call


async def test_an_engine_that_cannot_resize_is_not_asked(desk: Desk) -> None:
    entry = await running(desk)
    await desk.world.node("n1", capabilities=[])
    with pytest.raises(Unsupported, match="n1"):
        await desk.service.resize(context(), entry, MORE)


async def test_a_container_is_renamed_but_not_to_its_own_name(desk: Desk) -> None:
    entry = await desk.create(name="one")
    assert (await desk.service.rename(context(), entry, "two")).name == "two"
    with pytest.raises(Conflict, match="already"):
        await desk.service.rename(context(), entry, "two")
    await desk.world.running(entry.uuid)
    with pytest.raises(Conflict, match="already"):
        await desk.service.update(context(), entry, ContainerChanges(name="two"))


async def test_renaming_moves_the_claim_on_a_unique_name(world: World) -> None:
    async with desk_in(world, ContainerOptions(unique_name_scope="project")) as desk:
        one, other = await desk.create(name="one"), await desk.create(name="other")
        with pytest.raises(Conflict) as refusal:
            await desk.service.rename(context(), one, "other")
        assert refusal.value.code == "container-already-exists"
        await desk.service.rename(context(), one, "three")
        await desk.service.rename(context(), other, "one")
        assert one.record().names == [keys.unique_name(P1, "three")]
        names = [kv.key for kv in (await world.store.range(keys.NAMES)).items]
        assert names == [keys.unique_name(P1, "one"), keys.unique_name(P1, "three")]


@pytest.mark.parametrize("told", [b"{", b'{"request_id":5}', b"[" * 100_000])
async def test_a_node_that_tells_nonsense_of_a_resize_holds_up_nobody(world: World, told: bytes) -> None:
    async with desk_in(world) as desk:
        entry, other = await running(desk), await running(desk)
        ctx = context()
        await desk.service.resize(ctx, entry, MORE)
        await leader_decides(world, entry)
        await world.write(Put(keys.action_result("n1", entry.uuid, ctx.request_id), told))
        await world.sees(entry.uuid, SeenState.RUNNING)
        await desk.service.resize(context(), other, MORE)
        await leader_decides(world, other, "no room")
        await settled(world, other)
    assert other.record().spec.memory == 512


@pytest.mark.parametrize("status", [-1, 1, 200, 302, 401, 600, 10**9])
async def test_a_node_cannot_make_the_service_answer_as_it_likes(desk: Desk, status: int) -> None:
    entry, ctx = await running(desk), context()
    call = update(desk, ctx, entry)
    await until_resizing(desk.world, entry)
    await leader_decides(desk.world, entry)
    await desk.world.finishes(entry.uuid, ctx.request_id, message="no", error_code="x", error_status=status)
    await desk.world.sees(entry.uuid, SeenState.RUNNING)
    with pytest.raises(Conflict, match="no"):
        await call


SHRUNK = ContainerChanges(memory=100)


async def test_what_a_resize_gives_up_is_free_only_when_the_node_took_it_away(world: World) -> None:
    async with desk_in(world, limits=Limits(containers=-1, cpu=-1, memory=600, disk=-1)) as desk:
        entry, ctx = await running(desk), context()
        await desk.service.resize(ctx, entry, SHRUNK)
        with pytest.raises(QuotaExceeded):
            await desk.create(memory=300)
        await leader_decides(world, entry)
        await world.finishes(entry.uuid, ctx.request_id)
        await world.sees(entry.uuid, SeenState.RUNNING)
        await settled(world, entry)
        assert world.view.usage(P1)[0].memory == 100
        await desk.create(memory=300)


async def test_resizes_that_fail_give_nobody_more_than_the_quota(world: World) -> None:
    async with desk_in(world, limits=Limits(containers=-1, cpu=-1, memory=600, disk=-1)) as desk:
        entry, ctx = await running(desk), context()
        await desk.service.resize(ctx, entry, SHRUNK)
        await leader_decides(world, entry)
        with pytest.raises(QuotaExceeded):
            await desk.create(memory=300)
        await world.finishes(entry.uuid, ctx.request_id, message="no", error_code="conflict", error_status=409)
        await world.sees(entry.uuid, SeenState.RUNNING)
        await world.until(lambda: entry.record().spec.memory == 512)
        assert world.view.usage(P1)[0].memory == 512
