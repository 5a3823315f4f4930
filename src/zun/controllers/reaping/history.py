# SPDX-License-Identifier: Apache-2.0
"""How the actions of a container that is gone ended: the node's part is copied into the history, which outlives both. Pure."""

import msgspec

from zun.model.records import ActionEvent, ActionRecord, ActionResult, Place, Verb
from zun.model.steps import with_result

UNDONE = "The container was deleted before this was done."


def complete(
    action: ActionRecord,
    result: ActionResult | None,
    *,
    now: float,
    retention_seconds: float,
    note: str = "",
    place: Place | None = None,
) -> ActionRecord:
    """The action with its end, kept until `retention_seconds` from now. `note` tells more about the deletion, `place` about its beginning."""
    if action.expires_at is not None:
        return action
    done = with_result(action, result, place)
    done.expires_at = now + retention_seconds
    if done.finish_time is not None:
        return done
    done.finish_time = now
    done.events = [_ended(event, now) for event in done.events]
    if action.action != Verb.DELETE.value:
        done.message = UNDONE
    elif note:
        done.events.append(ActionEvent("leader__remove", now, now, "Success", note))
    return done


def _ended(event: ActionEvent, now: float) -> ActionEvent:
    if event.finish_time is not None:
        return event
    return msgspec.structs.replace(event, finish_time=now, result="Interrupted")
