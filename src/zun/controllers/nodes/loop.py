# SPDX-License-Identifier: Apache-2.0
"""The loop over nodes: counts how long they are away, and lets containers leave those that are lost, drained or declared down."""

import asyncio
import logging

import msgspec

from zun.base.clock import Clock
from zun.base.ids import new_request_id
from zun.base.workset import Workset
from zun.controllers.nodes.judging import Situation, judge
from zun.controllers.nodes.patience import Patience
from zun.model.errors import Internal, Timeout
from zun.model.moving import Leaving, LeavingKind, too_many_gone
from zun.store import codec, keys
from zun.store.batching import batches, merged
from zun.store.fencing import Fence
from zun.store.interface import Compare, Op, Put, absent, unchanged
from zun.store.view import ContainerEntry, NodeEntry, View

_LOG = logging.getLogger(__name__)
_AT_ONCE = 64
_AGAIN_SECONDS = 0.2
_SOONEST_SECONDS = 0.01
"""What is due within a moment is due: the last bit of a float must not make it look again and again."""


class Departure(msgspec.Struct, frozen=True):
    """A place that is to say something else about leaving, with what that rests on."""

    compares: tuple[Compare, ...]
    ops: tuple[Op, ...]


class NodesLoop:
    """Works while this process leads. `drain_at_once`: so many containers of a drained node are on their way at the same time."""

    def __init__(self, *, view: View, clock: Clock, drain_at_once: int) -> None:
        self._view = view
        self._clock = clock
        self._drain_at_once = drain_at_once

    async def run(self, fence: Fence) -> None:
        """Until cancelled. Raises `LeadershipLost` (in a group). Every leadership counts anew."""
        await self._view.ready()
        await self._view.fresh()
        async with asyncio.TaskGroup() as tasks:
            await _Work(self._view, self._clock, fence, self._drain_at_once, tasks).run()


class _Work:
    """One leadership's."""

    def __init__(self, view: View, clock: Clock, fence: Fence, drain_at_once: int, tasks: asyncio.TaskGroup) -> None:
        self._view = view
        self._clock = clock
        self._fence = fence
        self._drain_at_once = drain_at_once
        self._tasks = tasks
        self._patience = Patience(clock)
        self._waiting: Workset[str] = Workset()
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        self._tasks.create_task(self._follow())
        while True:
            names = await self._waiting.take(_AT_ONCE)
            await self._view.fresh()
            if self._view.stale_since is not None:
                for name in names:
                    self._look_later(name, _AGAIN_SECONDS)  # what is seen may be long past
                continue
            for name in names:
                await self._look(name)

    async def _follow(self) -> None:
        changes = self._view.subscribe()
        self._look_at_all()
        while True:
            for change in await changes.batch():
                if change.kind == "reset":
                    self._look_at_all()
                elif change.kind == "node":
                    self._see(change.id)
                    self._waiting.add(change.id)
                elif change.kind == "container" and not change.deleted:
                    self._heard_of(self._view.container(change.id))

    def _look_at_all(self) -> None:
        for node in self._view.nodes():
            self._see(node.name)
            self._waiting.add(node.name)

    def _heard_of(self, entry: ContainerEntry | None) -> None:
        if entry is None or not entry.node:
            return
        if entry.may_be_leaving or self._situation(self._view.node(entry.node)).in_trouble:
            self._waiting.add(entry.node)

    def _see(self, name: str) -> None:
        """Count from when it was seen, not from when there was time to do something about it."""
        if self._patience.see(name, self._view.node(name)):
            _LOG.warning("Node %s is lost.", name)
        gone, counted = self._view.gone_nodes()
        held_back = too_many_gone(gone, counted)
        if held_back == self._patience.held_back:
            return
        self._patience.hold_back(held_back)
        if held_back:
            _LOG.error(
                "%d of %d nodes are gone: nothing is moved until some return, or are declared down.", gone, counted
            )
        else:
            _LOG.warning("%d of %d nodes are gone: what is still away after its whole delay is moved.", gone, counted)
            self._waiting.update(self._patience.lost())

    def _situation(self, node: NodeEntry | None) -> Situation:
        if node is None or node.record is None:
            return Situation()
        forced = node.record.forced_down
        return Situation(
            gone=node.gone,
            away_seconds=self._patience.away_seconds(node.name, forced=forced),
            life=node.life_revision,
            forced=forced,
            draining=node.record.draining,
        )

    async def _look(self, name: str) -> None:
        self._due.pop(name, None)
        node = self._view.node(name)
        if node is None or node.record is None:
            return
        departures = self._departures(node, self._situation(node))
        for batch in batches(departures):
            compares, ops = merged(batch)
            result = await self._fence.transact(compares, ops)
            if not result.succeeded:
                self._look_later(name, _AGAIN_SECONDS)
                continue
            _LOG.info("Node %s: %d containers leave it, or stay after all.", name, len(batch))
            try:
                await self._view.at_least(result.revision)
            except Timeout as error:
                _LOG.warning("After %d departures: %s", len(batch), error.message)

    def _departures(self, node: NodeEntry, situation: Situation) -> list[Departure]:
        entries = list(self._view.containers(node=node.name))
        if not situation.in_trouble:
            entries = [entry for entry in entries if entry.may_be_leaving]
        slots = self._drain_at_once - sum(_is_on_its_way(entry) for entry in entries)

        def begin(kind: LeavingKind) -> Leaving | None:
            nonlocal slots
            if kind is LeavingKind.DRAINED:
                if slots <= 0:
                    return None
                slots -= 1
            return Leaving(kind, self._clock.now(), new_request_id())

        found: list[Departure] = []
        for entry in entries:
            try:
                record, place, seen = entry.record(), entry.place(), entry.seen()
            except Internal as error:
                _LOG.error("Container %s cannot leave its node: %s", entry.uuid, error.message)
                continue
            if place is None:
                continue
            verdict = judge(record, place, seen, situation, begin)
            if verdict.wait_seconds is not None:
                self._look_later(node.name, verdict.wait_seconds)
            if verdict.leaving != place.leaving:
                place.leaving = verdict.leaving
                if verdict.leaving is None:
                    place.failure = None
                put = Put(keys.place(entry.uuid), codec.encode(place, over=entry.place_raw))
                found.append(Departure(_conditions(node, entry, verdict.leaving), (put,)))
        return found

    def _look_later(self, name: str, seconds: float) -> None:
        seconds = max(seconds, _SOONEST_SECONDS)
        due = self._clock.monotonic() + seconds
        if self._due.get(name, due + 1) <= due:
            return
        self._due[name] = due
        self._tasks.create_task(self._name_later(name, seconds))

    async def _name_later(self, name: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._waiting.add(name)


def _conditions(node: NodeEntry, entry: ContainerEntry, leaving: Leaving | None) -> tuple[Compare, ...]:
    """Nobody placed it anew; and what is said of its node still holds."""
    place = unchanged(keys.place(entry.uuid), entry.place_revision)
    if leaving is None or leaving.lost_life is None:
        return (place, unchanged(keys.node(node.name), node.record_revision))
    return (place, absent(keys.node_alive(node.name)), unchanged(keys.node_life(node.name), leaving.lost_life))


def _is_on_its_way(entry: ContainerEntry) -> bool:
    """Whether it takes one of the places of those that leave a drained node: not when no other node can have it, for then it stays for now."""
    if not entry.may_be_leaving:
        return False
    try:
        place = entry.place()
    except Internal:
        return False
    return (
        place is not None and place.leaving is not None and (place.failure is None or place.leaving.order is not None)
    )
