# SPDX-License-Identifier: Apache-2.0
"""What figures and traces are told of an operation that ended."""

from collections.abc import Sequence

import msgspec

from zun.agent.operations.job import SUCCESS
from zun.agent.tools import Tools
from zun.model.records import ActionEvent, Inbox, Intent
from zun.telemetry.metrics import OPERATION_SECONDS, OPERATIONS_ENDED

DONE, FAILED, CUT = "done", "error", "interrupted"
"""How an operation ended."""

DELIVER = "deliver"
"""In traces: from when it was for the node to do until the node began."""


class Ended(msgspec.Struct, frozen=True):
    """An operation that ended. `events` are its own steps, the first of which is the whole; `delivered`: the request begins with it here."""

    wanted: Inbox
    intent: Intent
    events: Sequence[ActionEvent]
    seconds: float
    result: str
    error: str = ""
    delivered: bool = False


def tell(tools: Tools, ended: Ended) -> None:
    """Count it, and put it with its steps into its request's trace."""
    intent = ended.intent
    tools.meter.observe(OPERATION_SECONDS, ended.seconds, intent.verb.value)
    tell_unbegun(tools, intent, ended.result)
    if not intent.traceparent or not ended.events:
        return
    whole, *steps = ended.events
    about = {"zun.container": ended.wanted.uuid}
    if ended.delivered:
        began = max(ended.wanted.placed_at, intent.at)
        tools.tracer.record(DELIVER, intent.traceparent, began=began, ended=whole.start_time, attributes=about)
    now = tools.clock.now()
    operation = tools.tracer.record(
        intent.verb.value,
        intent.traceparent,
        began=whole.start_time,
        ended=whole.finish_time or now,
        attributes={**about, "zun.result": ended.result},
        error=ended.error,
    )
    for step in steps:
        tools.tracer.record(
            step.event,
            operation,
            began=step.start_time,
            ended=step.finish_time or now,
            attributes=about,
            error="" if step.result == SUCCESS else step.detail or step.result or "",
        )


def tell_unbegun(tools: Tools, intent: Intent, result: str) -> None:
    """Count one that ended before it began, or in an earlier life."""
    tools.meter.count(OPERATIONS_ENDED, intent.verb.value, result)
