# SPDX-License-Identifier: Apache-2.0
"""One container's worker: asks the plan what comes next, does it, asks again. Everything about a container happens in its order here."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from zun.agent.carrying import Carrier
from zun.agent.memory import Memory, fresh
from zun.agent.observing import plan_heal, plan_restart, take_in
from zun.agent.operations.delete import erase
from zun.agent.operations.job import Job
from zun.agent.operations.rebuild import heal
from zun.agent.operations.start import run_object
from zun.agent.plan import Kind, Step, cuts_short, next_step
from zun.agent.tools import Tools
from zun.agent.waiting import Bell
from zun.base.backoff import Backoff
from zun.base.request_scope import in_request
from zun.drivers.runtime.types import RuntimeEvent
from zun.model.errors import NotFound, ZunError
from zun.model.records import Inbox, SeenState
from zun.telemetry.metrics import HEALS, RESTARTS

_log = logging.getLogger(__name__)

ENGINE_AWAY = "The node's engine does not answer; what the container does is not known."


class Worker:
    """Makes one container's inbox entry true. `in_use` asks whether somebody reads its output now."""

    def __init__(self, tools: Tools, memory: Memory, wanted: Inbox | None, in_use: Callable[[str], bool]) -> None:
        self.memory = memory
        self.wanted = wanted
        self._tools = tools
        self._in_use = in_use
        self._carrier = Carrier(tools, memory)
        self._bell = Bell(tools.clock)
        self._retry = Backoff(first_seconds=0.5, cap_seconds=30.0)
        self._failures = 0
        self._unsure_since: float | None = None
        self._looked_at = 0.0
        self._running: tuple[Step, asyncio.Task[None]] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is in work."""
        return self._running is None

    def want(self, wanted: Inbox | None) -> None:
        """The inbox entry changed (None: it is gone)."""
        self.wanted = wanted
        self._bell.ring()
        if self._running is not None and self._carrier.cut_short is None:
            step, task = self._running
            why = cuts_short(wanted, self.memory, step)
            if why is not None:
                self._carrier.cut_short = why
                task.cancel()

    def heard(self, event: RuntimeEvent) -> None:
        """The engine told something; what was seen after it happened needs no second look."""
        if event.at >= self._looked_at:
            self.doubt(event.at)

    def doubt(self, since: float | None = None) -> None:
        """Look again before anything else: something may have changed (at a time, or up to now)."""
        self._unsure_since = max(self._unsure_since or 0.0, self._tools.clock.now() if since is None else since)
        self._bell.ring()

    def engine_away(self) -> None:
        """The engine has not answered for a while: say that nothing is known, unless work is going on."""
        observation = self.memory.observation
        if self.idle and self.memory.handle and observation.state is not SeenState.UNKNOWN:
            observation.state, observation.reason = SeenState.UNKNOWN, ENGINE_AWAY
            self._tools.reporter.observe(observation)

    async def run(self) -> None:
        """Work until there is nothing left to know of the container."""
        while True:
            step = self._next()
            if step.kind is Kind.REST:
                await self._rest(step)
                continue
            try:
                with in_request(step.intent.request_id if step.intent is not None else ""):
                    await self._attempt(step)
            except ZunError:
                await self._bell.wait(self._retry.delay(self._failures))
                self._failures += 1
                continue
            self._failures = 0
            if step.kind is Kind.PURGE and self.wanted is None:
                return

    async def _attempt(self, step: Step) -> None:
        try:
            await self._guarded(step)
        except ZunError as error:
            _log.warning("container %s: to %s: %s", self.memory.uuid, step.kind.value, error)
            raise

    def _next(self) -> Step:
        now = self._tools.clock.now()
        in_use = self._in_use(self.memory.uuid)
        return next_step(self.wanted, self.memory, now, unsure=self._unsure_since is not None, in_use=in_use)

    async def _rest(self, step: Step) -> None:
        seconds = None
        if step.until is not None:
            seconds = max(0.0, step.until - self._tools.clock.now())
            if self._in_use(self.memory.uuid):
                seconds = min(seconds, 1.0)
        await self._bell.wait(seconds)

    async def _guarded(self, step: Step) -> None:
        """Do a step so that a newer wish can cut it short."""
        why = cuts_short(self.wanted, self.memory, step)
        if why is not None and self.wanted is not None and step.intent is not None:
            self._carrier.skip(self.wanted, step.intent, why)
            return
        task = asyncio.ensure_future(self._do(step))
        self._running = (step, task)
        try:
            await task
        except asyncio.CancelledError:
            if self._carrier.cut_short is None or _being_cancelled():
                raise
            self.doubt()
        finally:
            self._running = None
            self._carrier.cut_short = None
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if _being_cancelled():
            # The step swallowed the cancellation while it was being cut short.
            raise asyncio.CancelledError

    async def _do(self, step: Step) -> None:
        if step.kind is Kind.PURGE:
            await self._purge()
            return
        wanted = self.wanted
        if wanted is None:
            return
        if step.kind is Kind.RENEW:
            await self._renew(wanted)
        elif step.kind is Kind.LOOK:
            await self._look(wanted)
        elif step.kind is Kind.CARRY_OUT and step.intent is not None:
            await self._carrier.carry_out(wanted, step.intent, resumed=step.resumed)
            self._seen()
        elif step.kind is Kind.INTERRUPT and step.intent is not None:
            self._carrier.interrupt(wanted, step.intent)
        else:
            await self._unasked(step.kind, Job(self._tools, wanted, self.memory))
            self._seen()

    async def _unasked(self, kind: Kind, job: Job) -> None:
        if kind is Kind.RESTART:
            await self._restart(job)
        elif kind is Kind.HEAL:
            await self._heal(job)
        elif kind is Kind.CLEAR:
            await erase(job)
        self._tools.journal.write(self.memory)
        self._tools.reporter.observe(self.memory.observation)

    async def _restart(self, job: Job) -> None:
        memory = self.memory
        attempts = memory.attempts
        memory.observation.restarts += 1
        self._tools.meter.count(RESTARTS)
        try:
            await run_object(job)
        except ZunError as error:
            _log.warning("container %s: starting it again: %s", memory.uuid, error)
            if isinstance(error, NotFound):
                await job.look()
            if memory.observation.state is SeenState.RESTARTING:
                plan_restart(memory, attempts, self._tools.around, self._tools.clock.now())
            if memory.handle:
                memory.observation.reason = f"It could not be started again: {error.message}"

    async def _heal(self, job: Job) -> None:
        memory, now = self.memory, self._tools.clock.now()
        memory.heals += 1
        memory.healed_at = now
        self._tools.meter.count(HEALS)
        try:
            await heal(job)
        except ZunError as error:
            _log.warning("container %s: making it again: %s", memory.uuid, error)
            if memory.handle:
                memory.observation.error = error.message
                return
            memory.observation.state = SeenState.MISSING
            plan_heal(memory, job.spec, self._tools.around, self._tools.clock.now())
            memory.observation.reason += f" The last try: {error.message}"

    async def _look(self, wanted: Inbox) -> None:
        looking_at = self._tools.clock.now()
        seen = await self._tools.engine.inspect(self.memory.handle)
        before = self.memory.copy()
        take_in(self.memory, seen, wanted.spec, self._tools.around, looking_at)
        self._looked_at = looking_at
        if self._unsure_since is not None and self._unsure_since <= looking_at:
            self._unsure_since = None
        self._changed(before)

    def _changed(self, before: Memory) -> None:
        before.observation.at = self.memory.observation.at
        if before != self.memory:
            self._tools.journal.write(self.memory)
            # A restart that is due within a moment is told as what comes of it.
            self._tools.reporter.observe(
                self.memory.observation, lazy=self.memory.observation.state is SeenState.RESTARTING
            )

    def _seen(self) -> None:
        """An operation ended with a look of its own, after everything heard while it ran."""
        if self.memory.observation.at:
            self._looked_at = max(self._looked_at, self.memory.observation.at)
            if self._unsure_since is not None and self._unsure_since < self._looked_at:
                self._unsure_since = None

    async def _renew(self, wanted: Inbox) -> None:
        """The older generation's object goes before anything is made of the newer one."""
        await self._remove_all()
        uuid = self.memory.uuid
        _replace(self.memory, fresh(uuid, wanted.generation))
        await self._tools.journal.commit(self.memory)

    async def _purge(self) -> None:
        """Nothing of it stays: should it be wished again meanwhile, it begins as something new."""
        await self._remove_all()
        uuid = self.memory.uuid
        await self._tools.files.remove(uuid)
        self._tools.reporter.forget(uuid)
        self._tools.journal.forget(uuid)
        _replace(self.memory, fresh(uuid, 0))

    async def _remove_all(self) -> None:
        """Every object of this container, of whatever generation, known by its labels."""
        if self.memory.observation.state is SeenState.GONE:
            return
        for seen in await self._tools.engine.list():
            if seen.uuid == self.memory.uuid:
                await self._tools.engine.remove(seen.handle)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _replace(memory: Memory, other: Memory) -> None:
    """Make `memory` what `other` is; who holds it sees the change."""
    for name in msgspec.structs.fields(memory):
        setattr(memory, name.name, getattr(other, name.name))
