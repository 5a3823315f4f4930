# SPDX-License-Identifier: Apache-2.0
"""All containers of the node: each has a worker of its own, so that order is kept within one and nobody waits for another."""

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from zun.agent.memory import Memory, fresh_for
from zun.agent.tools import Tools
from zun.agent.waiting import Bell
from zun.agent.worker import Worker
from zun.drivers.runtime.types import RuntimeEvent, Seen
from zun.model.attachments import sandbox_key
from zun.model.errors import Conflict, NotFound, ZunError
from zun.model.records import Inbox, SeenState
from zun.store.nodelink import InboxBatch

_log = logging.getLogger(__name__)


class Supervisor:
    """Owns the workers. `in_use` tells whether somebody reads a container's output now."""

    def __init__(self, tools: Tools, in_use: Callable[[str], bool]) -> None:
        self._tools = tools
        self._in_use = in_use
        self._workers: dict[str, Worker] = {}
        self._results: dict[str, list[str]] = {}
        self._aside: dict[str, Memory] = {}
        self._group: asyncio.TaskGroup | None = None
        self._progress = Bell(tools.clock)
        tools.reporter.delivered = self._delivered

    async def run(self) -> NoReturn:
        """Give the workers a home; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.Event().wait()
        raise AssertionError("only cancellation ends it")

    def adopt(self, memory: Memory, wanted: Inbox | None, results: Iterable[str] = ()) -> None:
        """Take over a container that an earlier life, the engine or the inbox knows. `results`: told by an earlier life."""
        self._results[memory.uuid] = list(results)
        worker = self._begin(memory, wanted)
        if memory.handle:
            worker.doubt()
        for result in memory.results:
            self._tools.reporter.result(memory.uuid, result)
        if wanted is not None and memory.observation.state is not SeenState.ABSENT:
            self._tools.reporter.observe(memory.observation, lazy=True)

    def set_aside(self, memory: Memory) -> None:
        """A container whose inbox entry nobody can read is not touched, and not forgotten, until somebody repairs it."""
        self._aside[memory.uuid] = memory

    def apply(self, batch: InboxBatch) -> None:
        """Pass a change of the inbox on. What is damaged stays as it is."""
        for uuid, wanted in batch.containers.items():
            worker = self._workers.get(uuid)
            aside = self._aside.pop(uuid, None)
            if worker is not None:
                worker.want(wanted)
            elif aside is not None:
                self.adopt(aside, wanted)
            elif wanted is not None:
                self._begin(fresh_for(wanted), wanted)
        if batch.snapshot:
            for uuid, worker in self._workers.items():
                if uuid not in batch.containers and uuid not in batch.damaged:
                    worker.want(None)

    def heard(self, event: RuntimeEvent) -> None:
        """Something happened to a container."""
        worker = self._workers.get(event.uuid)
        if worker is not None:
            worker.heard(event)

    def compare(self, seen: Iterable[Seen]) -> list[Seen]:
        """Let the workers look at what differs from what they know; returns objects of nobody (old generations, orphans)."""
        strays: list[Seen] = []
        there: dict[str, Seen] = {}
        for found in seen:
            if found.uuid in self._aside or self._tools.known_store.keeps(found.handle):
                continue
            worker = self._workers.get(found.uuid)
            if worker is None or (worker.idle and found.generation < worker.memory.observation.generation):
                strays.append(found)
            elif found.generation == worker.memory.observation.generation:
                there[found.uuid] = found
        for uuid, worker in self._workers.items():
            if worker.idle and _differs(worker.memory, there.get(uuid)):
                worker.doubt()
        return strays

    async def remove_strays(self, strays: Sequence[Seen]) -> None:
        """Remove our objects that are in no inbox. An object whose container came meanwhile is left alone.

        Raises `Unavailable` and `Timeout` when nobody can tell whether the store is the one that has no place for them.
        """
        if strays:
            await self._tools.known_store.confirm()
        for stray in strays:
            worker = self._workers.get(stray.uuid)
            if worker is not None and worker.memory.observation.generation <= stray.generation:
                continue
            _log.warning("removing the object %s of container %s: nobody wishes it here", stray.handle, stray.uuid)
            try:
                await self._tools.engine.remove(stray.handle)
                await self._tools.plugs.release(sandbox_key(stray.uuid, stray.generation))
                if worker is None:
                    await self._tools.files.remove(stray.uuid)
            except ZunError as error:
                _log.warning("the object %s was not removed, trying again later: %s", stray.handle, error)

    def doubt_all(self) -> None:
        """Events may have been missed."""
        for worker in self._workers.values():
            if worker.memory.handle:
                worker.doubt()

    def engine_away(self) -> None:
        """The engine has not answered for a while."""
        for worker in self._workers.values():
            worker.engine_away()

    def guarded(self) -> list[tuple[Worker, float]]:
        """The containers that must not run when the node is out of touch for so long (seconds)."""
        workers = [(worker, worker.guard_seconds) for worker in self._workers.values()]
        return [(worker, delay) for worker, delay in workers if delay is not None]

    async def cleared(self) -> None:
        """Wait until nothing is left here of what is not, or no longer, to be here."""
        while any(worker.clears_away for worker in self._workers.values()):
            await self._progress.wait()

    def handle(self, uuid: str) -> str:
        """The engine's id of a container. Raises `NotFound` for one that is not here, `Conflict` for one without object."""
        worker = self._workers.get(uuid)
        if worker is None or worker.wanted is None or worker.wanted.absent:
            raise NotFound(f"Container {uuid} is not on this node; look where it is.", code="container-not-found")
        if not worker.memory.handle:
            raise Conflict(f"Container {uuid} has nothing to talk to on its node yet; wait until it is created.")
        return worker.memory.handle

    def states(self) -> Tally[SeenState]:
        """How many containers are in which state."""
        return Tally(worker.memory.observation.state for worker in self._workers.values())

    def known(self) -> set[str]:
        """The containers there are."""
        return set(self._workers) | set(self._aside)

    async def release_strays(self) -> None:
        """Let go of the networks of containers that nobody knows any more."""
        await self._tools.plugs.sweep(self.sandboxes)

    def sandboxes(self) -> set[str]:
        """The keys under which their networks are known, of the generations there are, and of what a restored store forgot."""
        memories = [worker.memory for worker in self._workers.values()] + list(self._aside.values())
        known = {sandbox_key(memory.uuid, memory.observation.generation) for memory in memories}
        wanted = [worker.wanted for worker in self._workers.values() if worker.wanted is not None]
        return known | {sandbox_key(one.uuid, one.generation) for one in wanted} | self._tools.known_store.sandboxes

    def _begin(self, memory: Memory, wanted: Inbox | None) -> Worker:
        if self._group is None:
            raise AssertionError("containers are worked on while run() runs")
        worker = Worker(self._tools, memory, wanted, self._in_use)
        worker.progressed = self._progress.ring
        self._workers[memory.uuid] = worker
        self._group.create_task(self._live(worker), name=f"container {memory.uuid}")
        return worker

    async def _live(self, worker: Worker) -> None:
        await worker.run()
        # No await since the worker saw that it is no longer wished: nothing came in between.
        self._workers.pop(worker.memory.uuid, None)
        self._results.pop(worker.memory.uuid, None)
        self._progress.ring()

    def _delivered(self, uuid: str, request_ids: list[str]) -> None:
        """Results arrived: the journal need not keep them, and the control plane keeps only so many."""
        worker = self._workers.get(uuid)
        if worker is None:
            return
        memory = worker.memory
        memory.results = [result for result in memory.results if result.request_id not in request_ids]
        self._tools.journal.write(memory)
        told = self._results.setdefault(uuid, [])
        told += [request_id for request_id in request_ids if request_id not in told]
        while len(told) > self._tools.options.kept_results:
            self._tools.reporter.drop(uuid, told.pop(0))


def _differs(memory: Memory, seen: Seen | None) -> bool:
    observation = memory.observation
    if seen is None:
        return bool(memory.handle)
    if observation.state is SeenState.RESTARTING:
        return seen.state is not SeenState.EXITED
    return seen.state is not observation.state or seen.handle != memory.handle
