# SPDX-License-Identifier: Apache-2.0
"""One container's worker: asks the plan what comes next, does it, asks again. Everything about a container happens in its order here."""

import asyncio
import logging
from collections.abc import Callable

from zun.agent.carrying import Carrier
from zun.agent.cutting import until_done
from zun.agent.guarding import Guarding
from zun.agent.memory import ALIVE, Memory, fresh, fresh_for
from zun.agent.observing import take_in
from zun.agent.operations.job import Job, notice_watchdog
from zun.agent.plan import Kind, Step, cuts_short, next_step
from zun.agent.probing.checks import checks_of_container
from zun.agent.probing.subject import Subject, subject_of
from zun.agent.tools import Tools
from zun.agent.unasked import Unasked
from zun.agent.waiting import Bell
from zun.base.backoff import Backoff
from zun.base.request_scope import in_request
from zun.drivers.runtime.types import RuntimeEvent
from zun.model.errors import ZunError
from zun.model.records import Inbox, SeenState

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
        self._unasked = Unasked(tools, memory)
        self._guarding = Guarding(tools, memory)
        self.progressed: Callable[[], None] = lambda: None
        """Called after every step."""
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

    @property
    def guard_seconds(self) -> float | None:
        """After so long out of touch it may be placed elsewhere; None: it is not guarded."""
        return self._guarding.delay_seconds(self.wanted)

    @property
    def clears_away(self) -> bool:
        """Whether something of it is still to go from this node before anything may be started there.

        What the engine cannot remove, but does not run, is not waited for.
        """
        wanted, observation = self.wanted, self.memory.observation
        if wanted is not None and not wanted.absent and wanted.generation <= observation.generation:
            return False
        if wanted is not None and wanted.absent and observation.state is SeenState.GONE:
            return False
        return not self._failures or observation.state in ALIVE or observation.state is SeenState.UNKNOWN

    async def fence(self) -> None:
        """Stop it, whatever is in work: the node is out of touch for too long."""
        await self._guarding.fence()
        self.doubt()

    def want(self, wanted: Inbox | None) -> None:
        """The inbox entry changed (None: it is gone)."""
        self.wanted = wanted
        self._bell.ring()
        if self._running is not None and self._carrier.cut_short is None:
            step, task = self._running
            why = cuts_short(wanted, self.memory, step)
            if why is not None:
                self._carrier.cut_short = why
                self._carrier.goes_on_elsewhere = wanted is not None and wanted.absent
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

    def engine_back(self) -> None:
        """The engine answers again: what waits for another try has it now, and waits for a short while only when that fails, too."""
        if self._failures:
            self._failures = 1
            self._bell.ring()

    async def run(self) -> None:
        """Work until there is nothing left to know of the container."""
        while True:
            await self._guarding.keep(self.wanted)
            if self.wanted is None or self.memory.observation.state is not SeenState.UNKNOWN:
                self._tools.probing.keep(self.memory.uuid, self._checked(), self.doubt)
            step = self._next()
            self.progressed()
            if step.kind is Kind.REST:
                await self._rest(step)
                continue
            try:
                with in_request(step.intent.request_id if step.intent is not None else ""):
                    await self._attempt(step)
            except ZunError:
                self._failures += 1
                self.progressed()
                await self._bell.wait(self._retry.delay(self._failures - 1))
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

    def _checked(self) -> Subject | None:
        """What of it the agent checks itself."""
        if self.wanted is None or self.wanted.spec.healthcheck is None or self._tools.engine.checks_health:
            return None
        return subject_of(self.memory, checks_of_container(self.wanted.spec))

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
            if await until_done(task, lambda: self._carrier.cut_short is not None):
                self.doubt()
        finally:
            self._running = None
            self._carrier.cut_short = None

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
            await self._unasked.do(step.kind, Job(self._tools, wanted, self.memory))
            self._seen()

    async def _look(self, wanted: Inbox) -> None:
        looking_at = self._tools.clock.now()
        seen = await self._tools.engine.inspect(self.memory.handle)
        await notice_watchdog(self._tools, self.memory, seen)
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
        self.memory.become(fresh_for(wanted))
        await self._tools.journal.commit(self.memory)

    async def _purge(self) -> None:
        """Nothing of it stays: should it be wished again meanwhile, it begins as something new."""
        uuid = self.memory.uuid
        if self.memory.observation.state is not SeenState.GONE:  # it left the inbox, and nobody had asked to remove it
            await self._tools.known_store.confirm()
        await self._remove_all()
        if uuid not in self._tools.known_store.kept:
            await self._tools.files.remove(uuid)
        await self._guarding.forget()
        self._tools.reporter.forget(uuid)
        self._tools.journal.forget(uuid)
        self.memory.become(fresh(uuid, 0))

    async def _remove_all(self) -> None:
        """Every object of this container, of whatever generation, known by its labels."""
        if self.memory.observation.state is SeenState.GONE:
            return
        for seen in await self._tools.engine.list():
            if seen.uuid == self.memory.uuid and not self._tools.known_store.keeps(seen.handle):
                await self._tools.engine.remove(seen.handle)
