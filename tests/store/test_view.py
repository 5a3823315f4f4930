# SPDX-License-Identifier: Apache-2.0
"""The view shows what is acknowledged, indexed, and follows every change."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from support.records import T0, record
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.model.errors import Timeout
from zun.model.records import (
    ImageObservation,
    ImageSource,
    ImageWish,
    Limits,
    NodeRecord,
    Observation,
    Place,
    SeenState,
    Usage,
)
from zun.model.registry import RegistryRecord
from zun.model.states import Status
from zun.store import codec, keys
from zun.store.interface import Delete, Put
from zun.store.memory import MemoryStore
from zun.store.view import View


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock()
    store = MemoryStore(clock)
    async with world_on(store, clock) as made:
        yield made
    await store.close()


async def test_what_was_there_before_the_view_is_shown(world: World) -> None:
    ours = await world.wish(record())
    await world.running(ours.uuid)
    async with world_on(world.store, world.clock) as second:
        entry = second.entry(ours.uuid)
        assert entry.record() == ours.record()
        assert entry.node == "n1"
        assert second.view.derive(entry).status is Status.UNKNOWN
        assert second.view.revision == await world.store.revision()


async def test_a_fresh_view_has_what_was_acknowledged(world: World) -> None:
    wished = record()
    await world.store.transact([], [Put(keys.container(wished.uuid), codec.encode(wished))])
    assert world.view.container(wished.uuid) is None
    await world.view.fresh()
    assert world.entry(wished.uuid).record() == wished


async def test_a_fresh_read_of_an_unchanged_embedded_store_does_not_wait(world: World) -> None:
    with pytest.raises(StopIteration):
        world.view.fresh().send(None)


async def test_containers_are_found_by_project_node_name_and_status_oldest_first(world: World) -> None:
    await world.node()
    young = await world.wish(record("p1", name="b", at=3.0))
    old = await world.wish(record("p1", name="a", at=1.0))
    other = await world.wish(record("p2", name="a", at=2.0))
    await world.running(old.uuid)
    view = world.view
    assert list(view.containers()) == [old, other, young]
    assert list(view.containers("p1")) == [old, young]
    assert list(view.containers("p3")) == []
    assert list(view.containers(name="a")) == [old, other]
    assert list(view.containers("p2", name="a")) == [other]
    assert list(view.containers(node="n1")) == [old]
    assert list(view.containers(status=Status.RUNNING)) == [old]
    assert list(view.containers("p1", status=Status.CREATING)) == [young]
    await world.sees(old.uuid, SeenState.EXITED)
    assert list(view.containers(status=Status.RUNNING)) == []
    assert list(view.containers(status=Status.STOPPED)) == [old]


async def test_lists_stay_in_order_and_counts_true_whoever_goes(world: World) -> None:
    await world.node()
    entries = [await world.wish(record("p1", name=f"c{n}", at=float(n // 3))) for n in range(12)]
    for entry in entries[::2]:
        await world.running(entry.uuid)
    left = list(world.view.containers())
    for gone in (left[5], left[0], left[-1], left[6]):
        await world.reaped(gone.uuid)
        left.remove(gone)
        assert list(world.view.containers()) == list(world.view.containers("p1")) == left
        counts = world.view.counts()
        assert counts.by_status == {status: len(list(world.view.containers(status=status))) for status in Status}
        assert sum(counts.by_status.values()) == len(left)
        assert counts.pending == sum(world.view.derive(entry).task_state is not None for entry in left)


async def test_a_renamed_container_is_found_by_its_new_name_only(world: World) -> None:
    wished = record(name="before")
    await world.wish(wished)
    wished.spec.name = "after"
    await world.wish(wished)
    assert [entry.uuid for entry in world.view.containers(name="after")] == [wished.uuid]
    assert list(world.view.containers(name="before")) == []


async def test_containers_of_one_name_come_and_go_one_by_one(world: World) -> None:
    entries = [await world.wish(record("p1", name="web", at=float(n))) for n in range(4)]
    assert list(world.view.containers(name="web")) == entries
    last = entries[2]
    for gone in (entries[1], entries[0], entries[3], last):
        await world.wish(last.record())  # written again: it is there once all the same
        await world.reaped(gone.uuid)
        entries.remove(gone)
        assert list(world.view.containers(name="web")) == entries
    again = await world.wish(record("p1", name="web"))
    assert list(world.view.containers(name="web")) == [again]


async def test_a_deleted_container_is_in_no_index_any_more(world: World) -> None:
    entry = await world.wish(record())
    await world.running(entry.uuid)
    assert list(world.view.containers(status=Status.UNKNOWN)) == [entry]
    await world.reaped(entry.uuid)
    view = world.view
    for found in (
        view.containers(),
        view.containers("p1"),
        view.containers(node="n1"),
        view.containers(name="web"),
        view.containers(status=Status.UNKNOWN),
    ):
        assert list(found) == []
    assert view.container(entry.uuid) is None


async def test_a_lost_node_makes_its_containers_unknown_without_any_write_to_them(world: World) -> None:
    await world.node()
    entry = await world.wish(record())
    await world.running(entry.uuid)
    before, shown = world.view.project_revision("p1"), world.view.visible_revision(entry)
    assert world.view.derive(entry).status is Status.RUNNING
    await world.node_dies()
    assert world.view.derive(entry).status is Status.UNKNOWN
    assert list(world.view.containers(status=Status.UNKNOWN)) == [entry]
    assert world.view.project_revision("p1") > before
    assert world.view.visible_revision(entry) > shown
    await world.node_returns()
    assert world.view.derive(entry).status is Status.RUNNING


async def test_a_node_that_was_forced_down_counts_as_down_though_it_reports(world: World) -> None:
    await world.node()
    entry = await world.wish(record())
    await world.running(entry.uuid)
    down = NodeRecord(node="n1", number=1, created_at=1.0, forced_down=True)
    await world.put(keys.node("n1"), down)
    assert world.view.derive(entry).status is Status.UNKNOWN
    node = world.view.node("n1")
    assert node is not None
    assert not node.alive
    await world.put(keys.node("n1"), msgspec.structs.replace(down, forced_down=False))
    assert world.view.derive(entry).status is Status.RUNNING


async def test_only_the_node_of_the_place_is_believed(world: World) -> None:
    await world.node("n1")
    await world.node("n2")
    entry = await world.wish(record())
    await world.running(entry.uuid, "n1")
    await world.place(entry.uuid, "n2", generation=2)
    assert entry.seen() is None
    assert world.view.raw(keys.observation("n1", entry.uuid))[1] > 0
    await world.put(keys.observation("n1", entry.uuid), Observation(entry.uuid, 1, SeenState.EXITED))
    assert world.view.derive(entry).status is Status.CREATING
    await world.sees(entry.uuid, SeenState.RUNNING)
    assert world.view.derive(entry).status is Status.RUNNING
    await world.write(Delete(keys.observation("n1", entry.uuid)))
    assert world.view.raw(keys.observation("n1", entry.uuid)) == (None, 0)
    assert world.view.derive(entry).status is Status.RUNNING


async def test_an_observation_may_come_before_its_place(world: World) -> None:
    await world.node()
    entry = await world.wish(record())
    early = Observation(entry.uuid, 1, SeenState.RUNNING, intent_done=9)
    await world.put(keys.observation("n1", entry.uuid), early)
    assert entry.seen() is None
    await world.place(entry.uuid)
    assert entry.seen() == early


async def test_small_records_are_shown_with_their_revisions(world: World) -> None:
    view = world.view
    assert view.usage("p1") == (Usage(), 0)
    assert view.limits(keys.project_limits("p1")) == (None, 0)
    at = await world.put(keys.quota("p1"), Usage(containers=2))
    assert view.usage("p1") == (Usage(containers=2), at)
    at = await world.put(keys.project_limits("p1"), Limits(containers=3))
    assert view.limits(keys.project_limits("p1")) == (Limits(containers=3), at)
    registry = RegistryRecord("r1", "p1", "u", "hub", "hub.example", 1.0)
    at = await world.put(keys.registry("r1"), registry)
    assert view.registry("r1") == (registry, at)
    assert view.registries("p1") == [registry]
    assert view.registries("p2") == []
    await world.write(Delete(keys.registry("r1")), Delete(keys.quota("p1")))
    assert view.registry("r1") is None
    assert view.usage("p1") == (Usage(), 0)


async def test_an_image_is_shown_with_what_its_node_says(world: World) -> None:
    wish = ImageWish("i1", "p1", "u", "n1", "busybox", "latest", 1.0, ImageSource("docker.io/library/busybox:latest"))
    seen = ImageObservation("i1", "ready", size=5)
    await world.put(keys.image_observation("n1", "i1"), seen)
    await world.put(keys.image("i1"), wish)
    image = world.view.image("i1")
    assert image is not None
    assert (image.wish, image.observation) == (wish, seen)
    await world.write(Delete(keys.image("i1")))
    assert world.view.images() == []


async def test_nodes_come_by_name_and_go_when_nothing_is_known_of_them(world: World) -> None:
    await world.node("n2")
    await world.node("n1", alive=False)
    assert [(node.name, node.alive) for node in world.view.nodes()] == [("n1", False), ("n2", True)]
    await world.write(Delete(keys.node("n1")), Delete(keys.node_info("n1")))
    assert world.view.node("n1") is None


async def test_a_damaged_record_harms_nothing_else(world: World, caplog: pytest.LogCaptureFixture) -> None:
    entry = await world.wish(record())
    await world.write(
        Put(keys.container(entry.uuid), b"{damaged"), Put(keys.node_info("n9"), b"[]"), Put(keys.quota("p1"), b"{}")
    )
    assert entry.record().spec.name == "web"
    assert world.view.usage("p1")[1] > 0
    assert "ignored" in caplog.text
    assert world.view.nodes() == []


async def test_waiting_for_a_revision_that_does_not_come_ends_with_a_timeout(world: World) -> None:
    with pytest.raises(Timeout):
        await world.view.at_least(10_000, timeout_seconds=0.01)


async def test_who_expects_a_result_gets_the_finished_one(world: World) -> None:
    entry = await world.wish(record())
    await world.place(entry.uuid)
    with world.view.expect(entry.uuid, "req-1") as expectation:
        await world.finishes(entry.uuid, "req-2")
        await world.finishes(entry.uuid, "req-1", finish_time=None)
        waiting = asyncio.ensure_future(expectation.result(5))
        await asyncio.sleep(0)
        assert not waiting.done()
        finished = await world.finishes(entry.uuid, "req-1", message="no")
        assert await waiting == finished
    with world.view.expect(entry.uuid, "req-3") as expectation, pytest.raises(Timeout, match="actions"):
        await expectation.result(0.01)


async def test_places_of_another_transaction_order_are_understood(world: World) -> None:
    wished = record()
    await world.write(
        Put(keys.place(wished.uuid), codec.encode(Place(wished.uuid, "n1", 1, 1.0))),
        Put(keys.container(wished.uuid), codec.encode(wished)),
    )
    assert list(world.view.containers(node="n1")) == [world.entry(wished.uuid)]
    await world.write(Delete(keys.container(wished.uuid)), Delete(keys.place(wished.uuid)))
    assert isinstance(world.view, View)
    assert list(world.view.containers(node="n1")) == []


async def test_what_a_project_has_is_found_without_reading_what_others_have(world: World) -> None:
    source = ImageSource("committed.zun.local/p/library/mine:v1", "never")
    for name in ("p1", "p2", "p3"):
        wish = ImageWish(f"i-{name}", name, "u", "n1", "mine", "v1", T0, source, committed=True)
        registry = RegistryRecord(f"r-{name}", name, "u", "mine", "registry.example", T0)
        await world.write(Put(keys.image(wish.uuid), codec.encode(wish)))
        await world.write(Put(keys.registry(registry.uuid), codec.encode(registry)))
    unreadable = b'{"node":"n1","project_id":"p4","committed":true}'
    await world.write(Put(keys.image("i-p4"), unreadable), Delete(keys.image("i-p2")), Delete(keys.registry("r-p2")))
    view = world.view
    assert [image.wish.uuid for image in view.images(committed_by="p1")] == ["i-p1"]
    assert [registry.uuid for registry in view.registries("p1")] == ["r-p1"]
    assert view.images(committed_by="p2") == view.images(committed_by="p9") == []
    assert view.registries("p2") == view.registries("p9") == []
    assert [registry.uuid for registry in view.registries()] == ["r-p1", "r-p3"]
