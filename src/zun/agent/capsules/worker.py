# SPDX-License-Identifier: Apache-2.0
"""One capsule's worker: asks the plan what comes next, does it, asks again. The supervisor treats it like a container's."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from zun.agent.capsules import plan
from zun.agent.capsules.acting import ChildJob, end_child, make_child, make_sandbox, restart_child, start_child
from zun.agent.capsules.checking import Checking
from zun.agent.capsules.ending import let_end
from zun.agent.capsules.history import CapsuleHistory
from zun.agent.capsules.plan import CUTTABLE, Kind, Step, ends_grace, goes_away, next_step
from zun.agent.capsules.seeing import begin_anew, take_in_child, take_in_sandbox, told
from zun.agent.cutting import until_done
from zun.agent.memory import ALIVE, Memory, fresh, fresh_for
from zun.agent.operations.job import Steps
from zun.agent.tools import Tools
from zun.agent.waiting import Bell
from zun.base.backoff import Backoff
from zun.base.request_scope import in_request
from zun.drivers.runtime.types import RuntimeEvent, SandboxSeen, Seen
from zun.model.attachments import sandbox_key
from zun.model.errors import ZunError
from zun.model.records import Inbox, Intent, SeenState

_log = logging.getLogger(__name__)

_SANDBOX = ""
"""How the sandbox is called among the things to look at."""

_MOMENT_SECONDS = 5.0
"""What is being made may take so long to be finished before a deletion gives it up."""

_ENGINE_AWAY = "The node's engine does not answer; what the capsule does is not known."


class CapsuleWorker:
    """Makes one capsule's inbox entry true. It is not moved between nodes, so nothing of it is guarded."""

    guard_seconds: float | None = None

    def __init__(self, tools: Tools, memory: Memory, wanted: Inbox | None) -> None:
        self.memory = memory
        self.wanted = wanted
        self.progressed: Callable[[], None] = lambda: None
        """Called after every step."""
        self._tools = tools
        self._history = CapsuleHistory(tools, memory)
        self._checking = Checking(tools, memory, self._changed_health)
        self._bell = Bell(tools.clock)
        self._retry = Backoff(first_seconds=0.5, cap_seconds=30.0)
        self._failures = 0
        self._doubted: set[str] = set()
        self._sandbox_looked_at = 0.0
        self._running: tuple[Step, asyncio.Task[None]] | None = None
        self._cut = False
        self._cutting: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is in work."""
        return self._running is None

    @property
    def clears_away(self) -> bool:
        """Whether something of it is still to go from this node before anything may be started there."""
        wanted, observation = self.wanted, self.memory.observation
        if wanted is not None and not wanted.absent and wanted.generation <= observation.generation:
            return False
        if wanted is not None and wanted.absent and observation.state is SeenState.GONE:
            return False
        return not self._failures or observation.state in ALIVE or observation.state is SeenState.UNKNOWN

    async def fence(self) -> None:
        """Nothing of it is guarded."""

    def want(self, wanted: Inbox | None) -> None:
        """The inbox entry changed (None: it is gone). What is being made is given up when it is not to be."""
        self.wanted = wanted
        self._bell.ring()
        if self._running is not None and self._cutting is None:
            step, task = self._running
            hurry = ends_grace(wanted, self.memory, step)
            if hurry or (step.kind in CUTTABLE and goes_away(wanted, self.memory)):
                self._cutting = asyncio.ensure_future(self._cut_short(task, at_once=hurry or self._pulls(step)))

    def handle(self, uuid: str) -> str:
        """The engine's id of one of its containers, "" when that has none."""
        return next((one.handle for one in self.memory.children if one.uuid == uuid), "")

    def heard(self, event: RuntimeEvent) -> None:
        """The engine told something; what was seen after it happened needs no second look."""
        child = next((one for one in self.memory.children if one.uuid == event.uuid), None)
        looked_at = child.observation.at if child is not None else self._sandbox_looked_at
        if event.at >= looked_at and (child is not None or not event.uuid):
            self._doubted.add(child.uuid if child is not None else _SANDBOX)
            self._bell.ring()

    def doubt(self) -> None:
        """Look at everything again before anything else."""
        self._doubted |= {_SANDBOX, *(one.uuid for one in self.memory.children)}
        self._bell.ring()

    def compare(self, sandbox: SandboxSeen | None, children: Mapping[str, Seen]) -> None:
        """Look again at what differs from what is known; `children` are its containers that the engine has, by uuid."""
        if not self.idle:
            return
        memory = self.memory
        lost = bool(memory.handle) if sandbox is None else sandbox.handle != memory.handle or not sandbox.ready
        if lost and memory.observation.state is not SeenState.MISSING:
            self.note(sandbox, children)
            self._doubted.add(_SANDBOX)
        for one in memory.children:
            if _differs(one, children.get(one.uuid)):
                self.note(None, children)
                self._doubted.add(one.uuid)
        if self._doubted:
            self._bell.ring()

    def note(self, sandbox: SandboxSeen | None, children: Mapping[str, Seen]) -> None:
        """Remember which objects of it there are."""
        if sandbox is not None:
            self.memory.observation.runtime_id = sandbox.handle
        for one in self.memory.children:
            if one.uuid in children:
                one.observation.runtime_id = children[one.uuid].handle

    def engine_away(self) -> None:
        """The engine has not answered for a while: say that nothing is known, unless work is going on."""
        observation = self.memory.observation
        if self.idle and self.memory.handle and observation.state is not SeenState.UNKNOWN:
            observation.state, observation.reason = SeenState.UNKNOWN, _ENGINE_AWAY
            self.tell()

    def tell(self, *, lazy: bool = False) -> None:
        """Let the control plane know how things stand. `lazy`: should it last."""
        self._tools.reporter.observe(told(self.memory), lazy=lazy)

    def engine_back(self) -> None:
        """The engine answers again: what could not be made, or started for the first time, is tried again now. Restarts keep their times."""
        self._failures = min(self._failures, 1)
        for one in (self.memory, *self.memory.children):
            if one.observation.error and one.due is not None:
                one.due = self._tools.clock.now()
        self._bell.ring()

    async def run(self) -> None:
        """Work until there is nothing left to know of the capsule."""
        while True:
            self._checking.keep(self.wanted)
            failing = self._checking.failing()
            now, unsure = self._tools.clock.now(), bool(self._doubted)
            step = next_step(self.wanted, self.memory, now, unsure=unsure, failing=failing)
            self.progressed()
            if step.kind is Kind.REST:
                await self._rest(step)
                continue
            try:
                with in_request(step.intent.request_id if step.intent is not None else ""):
                    await self._attempt(step)
            except ZunError as error:
                _log.warning("capsule %s: to %s: %s", self.memory.uuid, step.kind.value, error)
                self._failures += 1
                self.progressed()
                await self._bell.wait(self._retry.delay(self._failures - 1))
                continue
            self._failures = 0
            if step.kind is Kind.PURGE and self.wanted is None:
                return

    def _changed_health(self, uuid: str) -> None:
        self._doubted.add(uuid)
        self._bell.ring()

    async def _rest(self, step: Step) -> None:
        seconds = None if step.until is None else max(0.0, step.until - self._tools.clock.now())
        await self._bell.wait(seconds)

    async def _attempt(self, step: Step) -> None:
        """Do a step so that a newer wish can cut it short."""
        before = self.memory.copy()
        task = asyncio.ensure_future(self._do(step))
        self._running = (step, task)
        try:
            if await until_done(task, lambda: self._cut):
                self._given_up()
        finally:
            self._running, self._cut = None, False
            if self._cutting is not None:
                self._cutting.cancel()
                self._cutting = None
        if step.kind is not Kind.PURGE:
            self._changed(before)

    def _pulls(self, step: Step) -> bool:
        return step.kind is Kind.MAKE and self.memory.children[step.child].observation.pulling

    async def _cut_short(self, task: "asyncio.Task[None]", *, at_once: bool) -> None:
        """Give what is in work up. The engine gets a moment to finish what it began: what it makes after we left is not seen to be there."""
        if not at_once:
            await self._tools.clock.sleep(_MOMENT_SECONDS)
        self._cut = True
        task.cancel()

    def _given_up(self) -> None:
        for one in self.memory.children:
            one.observation.pulling = False
        self.doubt()

    def _changed(self, before: Memory) -> None:
        for known, now in zip([before, *before.children], [self.memory, *self.memory.children], strict=False):
            known.observation.at = now.observation.at
        if before != self.memory:
            self._tools.journal.write(self.memory)
            # Steps that follow each other at once are told together.
            self.tell(lazy=not _worth_telling(before, self.memory))

    async def _do(self, step: Step) -> None:
        wanted = self.wanted
        if wanted is None or step.kind is Kind.PURGE:
            await self._purge()
        elif step.kind is Kind.RENEW:
            await self._remove_all()
            self.memory.become(fresh_for(wanted))
            await self._tools.journal.commit(self.memory)
        elif step.kind is Kind.ERASE:
            await self._erase()
        elif step.kind is Kind.DELETE and step.intent is not None:
            await self._delete(wanted, step.intent)
        elif step.kind is Kind.LOOK:
            await self._look(wanted)
        elif step.kind is Kind.CLEAR:
            await self._remove_all()
            begin_anew(self.memory, wanted)
        elif step.kind is Kind.TELL and step.intent is not None:
            self._history.created(wanted, step.intent, plan.failure(wanted, self.memory))
        else:
            await self._work(wanted, step)

    async def _work(self, wanted: Inbox, step: Step) -> None:
        steps = Steps(self._tools.clock)
        self._history.begin(wanted)
        try:
            if step.kind is Kind.SANDBOX:
                await make_sandbox(self._tools, wanted, self.memory, steps)
                self._sandbox_looked_at = self.memory.observation.at
                return
            known = self.memory.children[step.child]
            job = ChildJob(
                self._tools,
                wanted,
                self.memory.handle,
                step.child,
                memory=known,
                steps=steps,
                told=lambda: self.tell(lazy=True),
            )
            if step.kind is Kind.END:
                await end_child(job, self._checking.failing().get(known.uuid, ""))
                return
            await {Kind.MAKE: make_child, Kind.START: start_child, Kind.RESTART: restart_child}[step.kind](job)
            if known.observation.error:
                self._doubted.add(_SANDBOX)  # the reason may be that it is gone
        finally:
            self._history.add(steps.events)

    async def _look(self, wanted: Inbox) -> None:
        tools, memory = self._tools, self.memory
        doubted, self._doubted = self._doubted, set()
        try:
            if _SANDBOX in doubted and memory.handle:
                self._sandbox_looked_at = tools.clock.now()
                seen = await tools.engine.inspect_sandbox(memory.handle)
                take_in_sandbox(memory, seen, tools.around, self._sandbox_looked_at)
            for child, one in zip(wanted.children, memory.children, strict=True):
                if one.uuid in doubted and one.handle:
                    looked_at = tools.clock.now()
                    found = await tools.engine.inspect(one.handle)
                    take_in_child(one, found, child, tools.around, looked_at)
        except ZunError:
            self._doubted |= doubted
            raise

    async def _delete(self, wanted: Inbox, intent: Intent) -> None:
        async def erase() -> None:
            await let_end(self._tools, self.memory, intent)
            await self._erase()

        await self._history.delete(wanted, intent, erase)

    async def _erase(self) -> None:
        """Nothing of it is left here; what was seen last of its containers stays readable."""
        await self._remove_all()
        observation = self.memory.observation
        await self._tools.plugs.release(sandbox_key(self.memory.uuid, observation.generation))
        observation.state, observation.runtime_id, observation.reason = SeenState.GONE, "", ""
        observation.addresses = []
        self.memory.due = self.memory.grace_until = None
        for one in self.memory.children:
            one.observation.state, one.observation.runtime_id, one.due = SeenState.GONE, "", None
        self._doubted.clear()

    async def _purge(self) -> None:
        """Nothing of it stays: should it be wished again meanwhile, it begins as something new."""
        if self.memory.observation.state is not SeenState.GONE:  # it left the inbox, and nobody had asked to remove it
            await self._tools.known_store.confirm()
            await self._remove_all()
        uuid = self.memory.uuid
        self._tools.reporter.forget(uuid)
        self._tools.journal.forget(uuid)
        self.memory.become(msgspec.structs.replace(fresh(uuid, 0), capsule=True))

    async def _remove_all(self) -> None:
        """Its sandboxes, of whatever generation, with what is in them; then what is known to be in none."""
        engine, keeps = self._tools.engine, self._tools.known_store.keeps
        for sandbox in await engine.list_sandboxes(self.memory.uuid):
            if not keeps(sandbox.handle):
                await engine.remove_sandbox(sandbox.handle)
        for one in self.memory.children:
            if one.handle and not keeps(one.handle):
                await engine.remove(one.handle)


def _differs(memory: Memory, seen: Seen | None) -> bool:
    observation = memory.observation
    if seen is None:
        return bool(memory.handle) and observation.state not in {SeenState.EXITED, SeenState.MISSING}
    if observation.state is SeenState.RESTARTING:
        return seen.state is not SeenState.EXITED
    return seen.state is not observation.state or seen.handle != memory.handle


def _worth_telling(before: Memory, now: Memory) -> bool:
    """Whether people would miss it: what only lasts until the next step is told with that."""
    if before.observation.state is not now.observation.state and now.observation.state is not SeenState.RUNNING:
        return True
    if (
        before.observation.error != now.observation.error
        or before.observation.intent_done != now.observation.intent_done
    ):
        return True
    passing = {SeenState.ABSENT, SeenState.CREATED, SeenState.RESTARTING}
    pairs = zip(before.children, now.children, strict=False)
    return any(
        one.observation.error != other.observation.error
        or (one.observation.state is not other.observation.state and other.observation.state not in passing)
        or one.observation.health != other.observation.health
        for one, other in pairs
    )
