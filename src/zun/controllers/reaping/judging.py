# SPDX-License-Identifier: Apache-2.0
"""Whether a container or image is to be cleared away. Pure."""

from enum import Enum

from zun.model.records import ContainerRecord, ImageObservation, ImageWish, Intent, Observation, Place, SeenState, Verb

IMAGE_GONE = "gone"


class Verdict(Enum):
    """What to do."""

    KEEP = "keep"
    REMOVE = "remove"
    REMOVE_AND_LEAVE_ORDER = "remove, and leave its node an order to remove it when it returns"


def deletion(record: ContainerRecord) -> Intent | None:
    """The wish to be gone, if there is one."""
    return next((intent for intent in record.intents if intent.verb is Verb.DELETE), None)


def asked_by(record: ContainerRecord) -> str:
    """The request that wished it gone; "" for one that went by itself."""
    wished = deletion(record)
    return wished.request_id if wished is not None else ""


def judge(record: ContainerRecord, place: Place | None, seen: Observation | None, *, node_alive: bool) -> Verdict:
    """Gone is what its node reported as gone (also by itself: auto_remove); what no node has needs none to report.

    A node that is away cannot report: then the deletion does not wait for it.
    """
    deleting = deletion(record) is not None
    if place is None or not place.node:
        return Verdict.REMOVE if deleting else Verdict.KEEP
    gone = seen is not None and seen.generation == place.generation and seen.state is SeenState.GONE
    ordered = place.leaving is not None and place.leaving.order is not None
    if gone and (deleting or not ordered):  # one that its node was told to remove for another node goes on there
        return Verdict.REMOVE
    if deleting and not node_alive:
        return Verdict.REMOVE_AND_LEAVE_ORDER
    return Verdict.KEEP


def judge_image(wish: ImageWish, seen: ImageObservation | None, *, node_alive: bool) -> Verdict:
    """The same for an image."""
    if not wish.absent:
        return Verdict.KEEP
    if seen is not None and seen.state == IMAGE_GONE:
        return Verdict.REMOVE
    return Verdict.KEEP if node_alive else Verdict.REMOVE_AND_LEAVE_ORDER
