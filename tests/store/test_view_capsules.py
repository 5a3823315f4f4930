# SPDX-License-Identifier: Apache-2.0
"""Capsules in the view: beside containers, never among them; their containers are found as long as they are there."""

from collections.abc import AsyncIterator

import pytest

from support.records import record, spec
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.model.children import Child, ImageSource, RecordKind
from zun.model.records import ContainerRecord, Observation, SeenState
from zun.model.states import Status
from zun.store import keys
from zun.store.interface import Delete
from zun.store.memory import MemoryStore
from zun.store.view import View


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock()
    async with world_on(MemoryStore(clock), clock) as made:
        await made.node()
        yield made


def capsule(name: str = "shop") -> ContainerRecord:
    wished = record(name=name)
    children = [Child(f"{wished.uuid}-{n}", spec(name=f"{name}-{n}"), ImageSource("i")) for n in (1, 2)]
    wished.kind, wished.children = RecordKind.CAPSULE, children
    return wished


async def test_the_two_kinds_are_listed_apart_and_counted_together(world: World) -> None:
    one, other = record(), capsule()
    for wished in (one, other):
        await world.wish(wished)
    for project in (None, "p1"):
        assert [entry.uuid for entry in world.view.by_age(project)] == [one.uuid]
        assert [entry.uuid for entry in world.view.capsules(project)] == [other.uuid]
        assert {entry.uuid for entry in world.view.containers(project)} == {one.uuid, other.uuid}
    assert world.view.capsules("p2") == []
    assert world.view.counts().by_status[Status.CREATING] == 2


async def test_a_container_of_a_capsule_is_found_with_what_is_seen_of_it(world: World) -> None:
    wished = capsule()
    await world.wish(wished)
    first, second = (child.uuid for child in wished.children)
    await world.place(wished.uuid)
    await world.sees(wished.uuid, SeenState.RUNNING, children=[Observation(first, 1, SeenState.RUNNING)])
    found = world.view.child(first)
    assert found is not None
    assert (found.name, found.project_id, found.node, found.capsule_uuid) == ("shop-1", "p1", "n1", wished.uuid)
    assert world.view.derive(found).status is Status.RUNNING
    other = world.view.child(second)
    assert other is not None
    assert world.view.derive(other).status is Status.CREATING
    assert world.view.seen_by_people(first) is not None
    assert world.view.seen_by_people(wished.uuid) is None
    await world.node_dies()
    lost = world.view.child(first)
    assert lost is not None
    assert world.view.derive(lost).status is Status.UNKNOWN


async def test_a_capsule_that_goes_takes_its_containers_along(world: World) -> None:
    wished = capsule()
    await world.wish(wished)
    changes = world.view.subscribe()
    await world.write(Delete(keys.container(wished.uuid)))
    assert world.view.child(wished.children[0].uuid) is None
    assert [(change.id, change.deleted, change.capsule) for change in await changes.batch()] == [
        (wished.uuid, True, True)
    ]


async def test_a_view_that_begins_later_knows_the_same(world: World) -> None:
    wished = capsule()
    await world.wish(wished)
    assert isinstance(world.view, View)
    async with world_on(world.store, world.clock) as again:
        assert [entry.uuid for entry in again.view.capsules(None)] == [wished.uuid]
        assert again.view.child(wished.children[0].uuid) is not None
