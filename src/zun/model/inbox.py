# SPDX-License-Identifier: Apache-2.0
"""What a node's inbox holds of a container, made from its wish and its place."""

from zun.model.publishing import plugged
from zun.model.records import NETWORK_VERBS, ContainerRecord, Inbox, Intent, Place, Verb


def inbox_of(record: ContainerRecord, place: Place) -> Inbox:
    """What the place's node is to make true: a pure function, so that services and the leader write the same bytes.

    A resize, and a change of networks of the service, waits for the leader's grant, and what comes after it waits with it. For one that is leaving it is the order to be gone, once that
    was given.
    """
    if place.leaving is not None and place.leaving.order is not None:
        return removal_order(record, place)
    intents = []
    for intent in record.intents:
        if _waits(intent, place):
            if _deletion_follows(record, intent):
                continue
            break
        if intent.n in place.resize_refused:
            continue
        intents.append(intent)
    return Inbox(
        uuid=record.uuid,
        generation=place.generation,
        project_id=record.project_id,
        spec=record.spec,
        claim=place.claim,
        seq=intents[-1].n if intents else record.seq,
        intents=intents,
        image_source=record.image_source,
        files=record.files,
        placed_at=place.at,
        resume=place.resume,
        heal_delay_seconds=place.heal_delay_seconds,
        attachments=plugged(place),
        published=place.published if place.attachments is None else [],
        refused={n: reason for n, reason in place.networks_refused.items() if any(one.n == n for one in intents)},
        kind=record.kind,
        children=record.children,
    )


def _waits(intent: Intent, place: Place) -> bool:
    if intent.verb in NETWORK_VERBS and place.attachments is not None:
        return intent.n > place.networks_done
    return intent.verb is Verb.RESIZE and intent.n > place.resize_done


def removal_order(record: ContainerRecord, place: Place) -> Inbox:
    """An inbox entry that asks for nothing but that the container be gone from its node. (Who never made it says how it was to go on.)"""
    return Inbox(
        uuid=record.uuid,
        generation=place.generation,
        project_id=record.project_id,
        spec=record.spec,
        claim=place.claim,
        seq=record.seq,
        intents=[],
        resume=place.resume,
        absent=True,
        kind=record.kind,
        children=record.children,
    )


def _deletion_follows(record: ContainerRecord, intent: Intent) -> bool:
    return any(later.verb is Verb.DELETE and later.n > intent.n for later in record.intents)
