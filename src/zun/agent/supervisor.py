# SPDX-License-Identifier: Apache-2.0
"""All containers of the node: each has a worker of its own, so that order is kept within one and nobody waits for another."""

import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import NoReturn

import msgspec

from zun.agent.capsules.seeing import told
from zun.agent.capsules.worker import CapsuleWorker
from zun.agent.found import owner_of
from zun.agent.home import Home
from zun.agent.memory import Memory, fresh_for
from zun.agent.tools import Tools
from zun.agent.waiting import Bell
from zun.agent.worker import Worker
from zun.drivers.runtime.types import RuntimeEvent, SandboxSeen, Seen
from zun.model.attachments import sandbox_key
from zun.model.errors import Conflict, NotFound, ZunError
from zun.model.records import Inbox, SeenState
from zun.store.nodelink import InboxBatch

_log = logging.getLogger(__name__)


AnyWorker = Worker | CapsuleWorker


class Strays(msgspec.Struct, frozen=True):
    """Objects of ours that are nobody's: of old generations, or in no inbox."""

    containers: list[Seen] = []
    sandboxes: list[SandboxSeen] = []


class Supervisor:
    """Owns the workers. `in_use` tells whether somebody reads a container's output now."""

    def __init__(self, tools: Tools, in_use: Callable[[str], bool]) -> None:
        self._tools = tools
        self._in_use = in_use
        self._workers: dict[str, AnyWorker] = {}
        self._capsules: dict[str, CapsuleWorker] = {}  # by the uuids of their containers
        self._results: dict[str, list[str]] = {}
        self._aside: dict[str, Memory] = {}
        self._home = Home()
        self._progress = Bell(tools.clock)
        tools.reporter.delivered = self._delivered

    async def run(self) -> NoReturn:
        """Give the workers a home; runs until cancelled."""
        await self._home.run()

    def adopt(self, memory: Memory, wanted: Inbox | None, results: Iterable[str] = ()) -> None:
        """Take over a container that an earlier life, the engine or the inbox knows. `results`: told by an earlier life."""
        self._results[memory.uuid] = list(results)
        worker = self._begin(memory, wanted)
        if memory.handle or any(one.handle for one in memory.children):
            worker.doubt()
        for result in memory.results:
            self._tools.reporter.result(memory.uuid, result)
        if wanted is not None and memory.observation.state is not SeenState.ABSENT:
            self._tools.reporter.observe(told(memory) if memory.capsule else memory.observation, lazy=True)

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
        worker = self._workers.get(event.capsule or event.uuid)
        if worker is not None:
            worker.heard(event)

    def compare(self, seen: Iterable[Seen], sandboxes: Iterable[SandboxSeen] = ()) -> Strays:
        """Let the workers look at what differs from what they know; returns objects of nobody (old generations, orphans)."""
        strays = Strays([], [])
        there: dict[str, dict[str, Seen]] = {}
        held: dict[str, SandboxSeen] = {}
        keeps = self._tools.known_store.keeps
        for found in seen:
            owner = owner_of(found)
            if keeps(found.handle):
                continue
            if self._is_stray(owner, found.generation):
                strays.containers.append(found)
            elif self._is_present(owner, found.generation):
                there.setdefault(owner, {})[found.uuid] = found
        for sandbox in sandboxes:
            if keeps(sandbox.handle):
                continue
            if self._is_stray(sandbox.uuid, sandbox.generation):
                strays.sandboxes.append(sandbox)
            elif self._is_present(sandbox.uuid, sandbox.generation):
                held[sandbox.uuid] = sandbox
        for uuid, worker in self._workers.items():
            if isinstance(worker, CapsuleWorker):
                worker.compare(held.get(uuid), there.get(uuid, {}))
            elif worker.idle and _differs(worker.memory, there.get(uuid, {}).get(uuid)):
                worker.doubt()
        return strays

    def _is_stray(self, uuid: str, generation: int) -> bool:
        """Whether an object is nobody's. What is set aside, or in work, is left alone."""
        if uuid in self._aside:
            return False
        worker = self._workers.get(uuid)
        return worker is None or (worker.idle and generation < worker.memory.observation.generation)

    def _is_present(self, uuid: str, generation: int) -> bool:
        worker = self._workers.get(uuid)
        return worker is not None and generation == worker.memory.observation.generation

    async def remove_strays(self, strays: Strays) -> None:
        """Remove our objects that are in no inbox. An object whose container came meanwhile is left alone.

        Raises `Unavailable` and `Timeout` when nobody can tell whether the store is the one that has no place for them.
        """
        if strays.containers or strays.sandboxes:
            await self._tools.known_store.confirm()
        for sandbox in strays.sandboxes:
            worker = self._workers.get(sandbox.uuid)
            if worker is not None and worker.memory.observation.generation <= sandbox.generation:
                continue
            _log.warning("removing the sandbox %s of capsule %s: nobody wishes it here", sandbox.handle, sandbox.uuid)
            try:
                await self._tools.engine.remove_sandbox(sandbox.handle)
                await self._tools.plugs.release(sandbox_key(sandbox.uuid, sandbox.generation))
            except ZunError as error:
                _log.warning("the sandbox %s was not removed, trying again later: %s", sandbox.handle, error)
        for stray in strays.containers:
            worker = self._workers.get(owner_of(stray))
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
            if worker.memory.handle or worker.memory.capsule:
                worker.doubt()

    def engine_away(self) -> None:
        """The engine has not answered for a while."""
        for worker in self._workers.values():
            worker.engine_away()

    def engine_back(self) -> None:
        """The engine answers again."""
        for worker in self._workers.values():
            worker.engine_back()

    def guarded(self) -> list[tuple[AnyWorker, float]]:
        """The containers that must not run when the node is out of touch for so long (seconds)."""
        workers = [(worker, worker.guard_seconds) for worker in self._workers.values()]
        return [(worker, delay) for worker, delay in workers if delay is not None]

    async def cleared(self) -> None:
        """Wait until nothing is left here of what is not, or no longer, to be here."""
        while any(worker.clears_away for worker in self._workers.values()):
            await self._progress.wait()

    def handle(self, uuid: str) -> str:
        """The engine's id of a container. Raises `NotFound` for one that is not here, `Conflict` for one without object."""
        capsule = self._capsules.get(uuid)
        worker = capsule or self._workers.get(uuid)
        if worker is None or worker.wanted is None or worker.wanted.absent or (worker.memory.capsule and not capsule):
            raise NotFound(f"Container {uuid} is not on this node; look where it is.", code="container-not-found")
        handle = capsule.handle(uuid) if capsule is not None else worker.memory.handle
        if not handle:
            raise Conflict(f"Container {uuid} has nothing to talk to on its node yet; wait until it is created.")
        return handle

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

    def _begin(self, memory: Memory, wanted: Inbox | None) -> AnyWorker:
        worker: AnyWorker
        if memory.capsule:
            worker = CapsuleWorker(self._tools, memory, wanted)
            self._capsules.update({one.uuid: worker for one in memory.children})
        else:
            worker = Worker(self._tools, memory, wanted, self._in_use)
        worker.progressed = self._progress.ring
        self._workers[memory.uuid] = worker
        self._home.begin(self._live(worker), f"container {memory.uuid}")
        return worker

    async def _live(self, worker: AnyWorker) -> None:
        children = [one.uuid for one in worker.memory.children]
        await worker.run()
        # No await since the worker saw that it is no longer wished: nothing came in between.
        for uuid in children:
            self._capsules.pop(uuid, None)
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
