# SPDX-License-Identifier: Apache-2.0
"""The steps of an action before its node begins, as events of its history; who shows a history and who completes it agree here."""

import msgspec

from zun.model.records import ActionEvent, ActionRecord, ActionResult, Place, Verb

ACCEPT = "accept"
"""From the request's arrival until its record was about to be written."""

SCHEDULE = "schedule"
"""From there until the leader had chosen a node; the detail says why that one."""


MOVE = "move"
"""The action of a container that went on on another node; the leader writes it, no user asked for it."""

LEAVE = "leave"
"""Its first step: from when it was to leave its node until that could not run it any more."""


def with_result(action: ActionRecord, result: ActionResult | None, place: Place | None) -> ActionRecord:
    """The action with its node's part copied in, because the node's own words are about to go. `place` tells of its beginning."""
    events = [*action.events, *scheduling(action, place)]
    done = msgspec.structs.replace(action, events=events)
    if result is not None:
        done.finish_time, done.message, done.events = result.finish_time, result.message, [*events, *result.events]
    return done


def accepted_at(action: ActionRecord) -> float:
    """When the request was accepted."""
    ends = (event.finish_time for event in action.events if event.event == ACCEPT)
    return next((end for end in ends if end is not None), action.start_time)


def scheduling(action: ActionRecord, place: Place | None) -> list[ActionEvent]:
    """The leader's part in a creation, unless it is told already."""
    known = any(event.event == SCHEDULE for event in action.events)
    if known or place is None or not place.node or action.action != Verb.CREATE.value:
        return []
    began = accepted_at(action)
    return [ActionEvent(SCHEDULE, began, max(began, place.at), "Success", place.why or None)]
