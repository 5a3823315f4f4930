# SPDX-License-Identifier: Apache-2.0
"""Carrying one intent out: written down first, refused if its time has passed, and its end told with what was seen.

The requests behind the intents matter here too: create and start of one request are one action with one end.
"""

import asyncio
import logging
from typing import Any

from zun.agent.memory import Memory
from zun.agent.operations.commit import tell_image
from zun.agent.operations.job import INTERRUPTED, Job, Steps
from zun.agent.operations.table import CLEARS_ERROR, OPERATIONS, SHOWN_ON_FAILURE, check_state
from zun.agent.plan import pending
from zun.agent.telling import CUT, DONE, FAILED, Ended, tell, tell_unbegun
from zun.agent.tools import Tools
from zun.model.errors import WRONG_STATE, Conflict, NotFound, Timeout, ZunError
from zun.model.records import ActionEvent, ActionResult, Inbox, Intent, Verb

_log = logging.getLogger(__name__)


def event_name(verb: Verb) -> str:
    """How an action's history calls the whole of an operation."""
    return f"compute__do_container_{verb.value}"


class Carrier:
    """Carries intents of one container out, one after the other."""

    def __init__(self, tools: Tools, memory: Memory) -> None:
        self._tools = tools
        self._memory = memory
        self.cut_short: str | None = None
        """Set by who cancels the work on purpose: why."""
        self.goes_on_elsewhere = False
        """Set with it when another node is to carry the intent out: then it does not end here."""

    async def carry_out(self, wanted: Inbox, intent: Intent, *, resumed: bool) -> None:
        """Do it and tell the end. A failure is told too; nothing is raised but cancellation."""
        tools, memory, observation = self._tools, self._memory, self._memory.observation
        opened = memory.open if memory.open and memory.open.request_id == intent.request_id else None
        known = opened.events if opened else []
        steps = Steps(tools.clock, known)
        started_at = opened.start_time if opened else tools.clock.now()
        follows = self._follower(wanted, intent)
        job = Job(
            tools,
            wanted,
            memory,
            intent=intent,
            steps=steps,
            resumed=resumed,
            start_follows=follows is not None and follows.verb is Verb.START,
        )
        observation.doing = intent.n
        began = tools.clock.monotonic()
        error: ZunError | None = None
        produced: dict[str, Any] | None = None
        try:
            produced = await self._do(job, intent)
        except ZunError as failure:
            error = failure
        except asyncio.CancelledError:
            if self.cut_short is None or self.goes_on_elsewhere:
                raise
            error = Conflict(f"The {intent.verb.value} was cut short: {self.cut_short}.")
            observation.pulling = False
            await self._see(job)
        observation.doing = 0
        told = Ended(
            wanted,
            intent,
            steps.events[len(known) :],
            seconds=tools.clock.monotonic() - began,
            result=DONE if error is None else CUT if self.cut_short is not None else FAILED,
            error=error.message if error is not None else "",
            delivered=opened is None and not resumed,
        )
        tell(tools, told)
        if self.cut_short is None and error is not None and intent.verb in SHOWN_ON_FAILURE:
            # What the state table refuses changes nothing: the container is as well as before.
            observation.error = observation.error if error.code == WRONG_STATE else error.message
        elif error is None and intent.verb in CLEARS_ERROR:
            observation.error = ""
        result = ActionResult(intent.request_id, intent.n, started_at, result=produced, events=steps.events)
        if error is None and follows is not None:
            self._go_on(intent, result)
        else:
            last = follows if follows is not None else intent
            self.finish(last, result, error)

    def skip(self, wanted: Inbox, intent: Intent, why: str) -> None:
        """Do not even begin: something that was asked for later makes it pointless."""
        now = self._tools.clock.now()
        tell_unbegun(self._tools, intent, CUT)
        error = Conflict(f"The {intent.verb.value} was cut short: {why}.")
        event = ActionEvent(event_name(intent.verb), now, now, INTERRUPTED, error.message)
        self.finish(
            self._follower(wanted, intent) or intent, ActionResult(intent.request_id, 0, now, events=[event]), error
        )

    def interrupt(self, wanted: Inbox, intent: Intent) -> None:
        """End what a crash, or the loss of an earlier node, cut off and nobody may repeat; say so."""
        now = self._tools.clock.now()
        moved = intent.n <= self._memory.moved_seq
        cause = "the container was moved from another node" if moved else "the node's agent was restarted"
        tell_unbegun(self._tools, intent, CUT)
        error = Timeout(
            f"Interrupted: {cause} during this {intent.verb.value}. Whether it happened is not known, "
            "and it is not done again by itself; look at the container and repeat it if needed."
        )
        event = ActionEvent(event_name(intent.verb), intent.at, now, INTERRUPTED, error.message)
        result = ActionResult(intent.request_id, intent.n, intent.at, events=[event])
        if intent.verb is Verb.COMMIT:
            tell_image(Job(self._tools, wanted, self._memory, intent=intent), "error", error=error.message)
        self.finish(intent, result, error)

    def finish(self, last: Intent, result: ActionResult, error: ZunError | None) -> None:
        """The request has ended with intent `last`."""
        memory = self._memory
        result.n = last.n
        result.finish_time = self._tools.clock.now()
        if error is None:
            seconds = result.finish_time - result.start_time
            _log.info("container %s: %s is done, in %.1f s", memory.uuid, last.verb.value, seconds)
        else:
            _log.info("container %s: %s: %s", memory.uuid, last.verb.value, error)
            result.message, result.error_code, result.error_status = error.message, error.code, error.http_status
        memory.begun, memory.open = None, None
        memory.observation.intent_done = last.n
        memory.results = [*memory.results, result]
        self._tools.journal.write(memory)
        self._tools.reporter.observe(memory.observation)
        self._tools.reporter.result(memory.uuid, result)

    def _go_on(self, intent: Intent, result: ActionResult) -> None:
        """Half of the request is done; it is told if the other half takes longer than a moment."""
        memory = self._memory
        memory.begun, memory.open = None, result
        memory.observation.intent_done = intent.n
        self._tools.journal.write(memory)
        self._tools.reporter.observe(memory.observation, lazy=True)
        self._tools.reporter.result(memory.uuid, result, lazy=True)

    def _follower(self, wanted: Inbox, intent: Intent) -> Intent | None:
        """The last intent of the same request, if there are more."""
        later = [other for other in pending(wanted, self._memory) if other.n > intent.n]
        same = [other for other in later if other.request_id == intent.request_id]
        return same[-1] if same else None

    async def _do(self, job: Job, intent: Intent) -> dict[str, Any] | None:
        tools, memory = self._tools, self._memory
        with job.steps.step(event_name(intent.verb)):
            if job.resumed:
                await self._see(job)
            else:
                check_state(job.uuid, intent, memory.observation)
                memory.begun = intent
                await self._write_down(intent)
            tools.reporter.observe(memory.observation, lazy=True)
            start_time = job.steps.events[0].start_time
            running = ActionResult(intent.request_id, intent.n, start_time, events=list(job.steps.events))
            tools.reporter.result(memory.uuid, running, lazy=True)
            try:
                return await OPERATIONS[intent.verb](job)
            except (Conflict, NotFound):
                await self._see(job)
                check_state(job.uuid, intent, memory.observation)
                raise

    async def _write_down(self, intent: Intent) -> None:
        """Before acting. What a creation makes carries its own record (its labels), so nobody waits for the disk there."""
        if intent.verb is Verb.CREATE:
            self._tools.journal.write(self._memory)
        else:
            await self._tools.journal.commit(self._memory)

    async def _see(self, job: Job) -> None:
        """After something went otherwise than thought: see how it is. An engine that does not answer changes nothing here."""
        try:
            await job.look()
        except ZunError as error:
            _log.warning("container %s: looking after a failure: %s", job.uuid, error)
