# SPDX-License-Identifier: Apache-2.0
"""What the agent does with a container without an intent of its user: restart, heal, clear away, and both halves of a move between nodes."""

import logging

from zun.agent.memory import ALIVE, Memory
from zun.agent.observing import plan_heal, plan_restart
from zun.agent.operations.commit import tell_image
from zun.agent.operations.delete import erase
from zun.agent.operations.job import Job
from zun.agent.operations.making import make
from zun.agent.operations.rebuild import heal
from zun.agent.operations.start import launch, run_object
from zun.agent.plan import Kind
from zun.agent.tools import Tools
from zun.model.errors import NotFound, ZunError
from zun.model.moving import Resume
from zun.model.records import ActionResult, SeenState, Verb
from zun.telemetry.metrics import HEALS, RESTARTS

_log = logging.getLogger(__name__)

MOVE = "compute__do_container_move"


class Unasked:
    """Does it for one container."""

    def __init__(self, tools: Tools, memory: Memory) -> None:
        self._tools = tools
        self._memory = memory

    async def do(self, kind: Kind, job: Job) -> None:
        """One step; what came of it is remembered and told. Raises when an engine that fails leaves nothing but to try again."""
        if kind is Kind.RESTART:
            await self._restart(job)
        elif kind is Kind.HEAL:
            await self._heal(job)
        elif kind is Kind.CLEAR:
            await erase(job)
        elif kind is Kind.ERASE:
            await self._leave(job)
        elif kind is Kind.RESUME and self._memory.resume is not None:
            await self._resume(job, self._memory.resume)
        self._tools.journal.write(self._memory)
        self._tools.reporter.observe(self._memory.observation)

    async def _restart(self, job: Job) -> None:
        memory = self._memory
        attempts = memory.attempts
        memory.observation.restarts += 0 if memory.fenced else 1
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
        memory, now = self._memory, self._tools.clock.now()
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
            self._missing(job, error)

    async def _resume(self, job: Job, resume: Resume) -> None:
        """Make it as it was on its earlier node. A failure is told, and tried again as healing does."""
        memory = self._memory
        await self._tools.journal.commit(memory)
        result = ActionResult(resume.request_id, 0, self._tools.clock.now())
        try:
            with job.steps.step(MOVE):
                await make(job)
                if resume.run:
                    await launch(job)
                else:
                    await job.look()
        except ZunError as error:
            _log.warning("container %s: making what was on node %s: %s", memory.uuid, resume.origin, error)
            result.message, result.error_code, result.error_status = error.message, error.code, error.http_status
            if memory.handle or not job.spec.auto_heal:
                memory.observation.error = error.message
            else:
                memory.ran = resume.run
                self._missing(job, error)
        memory.resume = None
        result.finish_time, result.events = self._tools.clock.now(), job.steps.events
        memory.results = [*memory.results, result]
        self._tools.reporter.result(memory.uuid, result)

    async def _leave(self, job: Job) -> None:
        """It goes on elsewhere: nothing may be left here, and the next node is told whether it ran."""
        memory = self._memory
        ran = memory.ran or memory.observation.state in ALIVE or (memory.resume is not None and memory.resume.run)
        try:
            await erase(job)
        except ZunError as error:
            memory.observation.error = error.message
            self._tools.reporter.observe(memory.observation)
            raise
        if memory.begun is not None and memory.begun.verb is Verb.COMMIT:
            cut = Job(self._tools, job.wanted, memory, intent=memory.begun)
            tell_image(
                cut, "error", error="The container was moved to another node during the commit; commit it again."
            )
        memory.begun = memory.open = memory.resume = None
        memory.observation.ran, memory.observation.error, memory.observation.doing = ran, "", 0

    def _missing(self, job: Job, error: ZunError) -> None:
        memory = self._memory
        memory.observation.state = SeenState.MISSING
        plan_heal(memory, job.spec, self._tools.around, self._tools.clock.now())
        memory.observation.reason += f" The last try: {error.message}"
