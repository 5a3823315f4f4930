# SPDX-License-Identifier: Apache-2.0
"""A small world without agent and leader: a store, its view, and a hand that plays both by writing what they would write."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from support.records import node_info
from zun.base.clock import Clock
from zun.model.inbox import inbox_of
from zun.model.records import (
    ActionResult,
    Claim,
    ContainerRecord,
    NodeInfo,
    NodeRecord,
    Observation,
    Place,
    PlaceFailure,
    SeenState,
)
from zun.model.resources import held_by, millicpus, subtract
from zun.store import codec, keys
from zun.store.interface import Delete, Op, Put, Store, unchanged
from zun.store.view import ContainerEntry, View


class World:
    """A store with a view of it. Every hand below returns when the view shows what it wrote."""

    def __init__(self, store: Store, view: View, clock: Clock) -> None:
        self.store = store
        self.view = view
        self.clock = clock

    async def write(self, *ops: Op) -> int:
        """One unconditional transaction."""
        result = await self.store.transact([], ops)
        await self.view.at_least(result.revision)
        return result.revision

    async def put(self, key: str, record: msgspec.Struct) -> int:
        """Write one record."""
        return await self.write(Put(key, codec.encode(record)))

    async def wish(self, record: ContainerRecord) -> ContainerEntry:
        """Write a wish as it stands."""
        await self.put(keys.container(record.uuid), record)
        return self.entry(record.uuid)

    def entry(self, uuid: str) -> ContainerEntry:
        """A container that must be there."""
        entry = self.view.container(uuid)
        assert entry is not None
        return entry

    async def node(self, name: str = "n1", *, alive: bool = True, **fields: object) -> NodeInfo:
        """A registered node that reports (or not)."""
        info = node_info(name, **fields)
        record = NodeRecord(node=name, number=1, created_at=self.clock.now())
        ops: list[Op] = [
            Put(keys.node(name), codec.encode(record)),
            Put(keys.node_info(name), codec.encode(info)),
        ]
        await self.write(*ops, *([Put(keys.node_alive(name), b"{}")] if alive else []))
        return info

    async def node_dies(self, name: str = "n1") -> None:
        """Its lease ends."""
        await self.write(Delete(keys.node_alive(name)))

    async def node_returns(self, name: str = "n1") -> None:
        """It reports again."""
        await self.put(keys.node_alive(name), Claim())

    async def place(self, uuid: str, node: str = "n1", **fields: object) -> Place:
        """The leader puts it on a node."""
        record = self.entry(uuid).record()
        claim = Claim(millicpus(record.spec.cpu), record.spec.memory, record.spec.disk)
        place = msgspec.structs.replace(Place(uuid, node, 1, self.clock.now(), claim=claim), **fields)
        await self.write(
            Put(keys.place(uuid), codec.encode(place)),
            Put(keys.inbox(node, uuid), codec.encode(inbox_of(record, place))),
        )
        return place

    async def cannot_place(self, uuid: str, reason: str = "There are not enough hosts available.") -> None:
        """The leader finds no node."""
        failure = PlaceFailure(reason, "0 of 1 nodes", self.clock.now(), self.entry(uuid).record().seq)
        await self.put(keys.place(uuid), Place(uuid, "", 0, self.clock.now(), failure=failure))

    async def sees(self, uuid: str, state: SeenState, *, done: int | None = None, **fields: object) -> Observation:
        """Its node reports a state, with all intents done unless `done` says otherwise."""
        place = self.entry(uuid).place()
        assert place is not None
        seq = self.entry(uuid).record().seq if done is None else done
        seen = Observation(uuid, place.generation, state, intent_done=seq, at=self.clock.now())
        seen = msgspec.structs.replace(seen, **fields)
        await self.put(keys.observation(place.node, uuid), seen)
        return seen

    async def finishes(self, uuid: str, request_id: str, **fields: object) -> ActionResult:
        """Its node reports an action as finished."""
        place = self.entry(uuid).place()
        assert place is not None
        now = self.clock.now()
        result = msgspec.structs.replace(ActionResult(request_id, 1, now, finish_time=now), **fields)
        await self.put(keys.action_result(place.node, uuid, request_id), result)
        return result

    async def running(self, uuid: str, node: str = "n1") -> None:
        """Place it and let it run."""
        await self.place(uuid, node)
        await self.sees(uuid, SeenState.RUNNING)

    async def until(self, condition: Callable[[], bool], timeout_seconds: float = 5.0) -> None:
        """Wait for changes until they make `condition` true."""
        changes = self.view.subscribe()
        async with asyncio.timeout(timeout_seconds):
            while not condition():
                await changes.batch()

    async def reaped(self, uuid: str) -> None:
        """The leader cleans up after a container that is gone, and gives its quota back."""
        while (entry := self.view.container(uuid)) is not None:
            record, place = entry.record(), entry.place()
            usage, revision = self.view.usage(record.project_id)
            quota = keys.quota(record.project_id)
            ops: list[Op] = [
                Delete(keys.container(uuid)),
                Delete(keys.place(uuid)),
                Put(quota, codec.encode(subtract(usage, held_by(record)))),
                *[Delete(name) for name in record.names],
            ]
            if place is not None and place.node:
                ops += [Delete(keys.inbox(place.node, uuid)), Delete(keys.observation(place.node, uuid))]
            read = [unchanged(keys.container(uuid), entry.wish_revision), unchanged(quota, revision)]
            done = await self.store.transact(read, ops)
            await self.view.at_least(done.revision)


@asynccontextmanager
async def world_on(store: Store, clock: Clock) -> AsyncIterator[World]:
    """A world on a store, whose view runs while the context lasts."""
    view = View(store, clock)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(view.run())
        await view.ready()
        try:
            yield World(store, view, clock)
        finally:
            running.cancel()
