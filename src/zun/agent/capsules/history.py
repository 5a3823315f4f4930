# SPDX-License-Identifier: Apache-2.0
"""What is told of the two things that are asked of a capsule: that it be made, and that it be deleted."""

import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from zun.agent.capsules.seeing import told
from zun.agent.memory import Memory
from zun.agent.operations.job import Steps
from zun.agent.plan import pending
from zun.agent.telling import CUT, DONE, FAILED, Ended, tell
from zun.agent.tools import Tools
from zun.model.errors import Conflict, ZunError
from zun.model.records import ActionEvent, ActionResult, Inbox, Intent, Verb

_log = logging.getLogger(__name__)

MOST_EVENTS = 64
"""A capsule that is tried again and again writes no more of its history than this."""


class CapsuleHistory:
    """Of one capsule. An action that goes on is kept in the memory, so that it survives the agent."""

    def __init__(self, tools: Tools, memory: Memory) -> None:
        self._tools = tools
        self._memory = memory

    def begin(self, wanted: Inbox) -> None:
        """Work begins for the creation, unless it did already."""
        waiting = pending(wanted, self._memory)
        if waiting and waiting[0].verb is Verb.CREATE and self._memory.open is None:
            self._memory.open = ActionResult(waiting[0].request_id, 0, self._tools.clock.now())
            self._memory.observation.doing = waiting[0].n

    def add(self, events: Sequence[ActionEvent]) -> None:
        """Steps that were done for it."""
        result = self._memory.open
        if result is not None and len(result.events) < MOST_EVENTS:
            result = self._memory.open = msgspec.structs.replace(result, events=[*result.events, *events])
            self._tools.reporter.result(self._memory.uuid, result, lazy=True)

    def created(self, wanted: Inbox, intent: Intent, error: str | None) -> None:
        """The creation has ended."""
        self._finish(wanted, intent, Conflict(error) if error is not None else None, FAILED if error else DONE)

    async def delete(self, wanted: Inbox, intent: Intent, erase: Callable[[], Awaitable[None]]) -> None:
        """Carry a deletion out, which ends whatever was asked before. Raises what the engine does: then it is tried again."""
        for earlier in pending(wanted, self._memory):
            if earlier.n < intent.n:
                cut = Conflict(f"The {earlier.verb.value} was cut short: a deletion was asked for.")
                self._finish(wanted, earlier, cut, CUT)
        steps = Steps(self._tools.clock)
        self._memory.observation.doing = intent.n
        try:
            with steps.step("delete"):
                await erase()
        except ZunError as error:
            self._memory.observation.error = error.message
            self._tools.reporter.observe(told(self._memory))
            raise
        self._memory.observation.error = ""
        self._memory.open = ActionResult(intent.request_id, 0, steps.events[0].start_time, events=steps.events)
        self._finish(wanted, intent, None, DONE)

    def _finish(self, wanted: Inbox, intent: Intent, error: ZunError | None, how: str) -> None:
        memory, now = self._memory, self._tools.clock.now()
        result = memory.open or ActionResult(intent.request_id, 0, now)
        whole = ActionEvent(
            f"compute__do_capsule_{intent.verb.value}",
            result.start_time,
            now,
            {DONE: "Success", FAILED: "Error"}.get(how, "Interrupted"),
            error.message if error is not None else None,
        )
        result = msgspec.structs.replace(
            result, request_id=intent.request_id, n=intent.n, finish_time=now, events=[whole, *result.events]
        )
        if error is not None:
            result.message, result.error_code, result.error_status = error.message, error.code, error.http_status
        message = error.message if error is not None else ""
        _log.info("capsule %s: %s: %s", memory.uuid, intent.verb.value, message or "done")
        tell(
            self._tools,
            Ended(
                wanted,
                intent,
                result.events,
                seconds=now - result.start_time,
                result=how,
                error=message,
                delivered=intent.verb is Verb.CREATE,
            ),
        )
        memory.open = None
        memory.observation.doing, memory.observation.intent_done = 0, intent.n
        memory.results = [*memory.results, result]
        self._tools.journal.write(memory)
        self._tools.reporter.observe(told(memory))
        self._tools.reporter.result(memory.uuid, result)
