# SPDX-License-Identifier: Apache-2.0
"""The steps of an action before its node begins, as events of its history; who shows a history and who completes it agree here."""

from zun.model.records import ActionEvent, ActionRecord, Place, Verb

ACCEPT = "accept"
"""From the request's arrival until its record was about to be written."""

SCHEDULE = "schedule"
"""From there until the leader had chosen a node; the detail says why that one."""


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
