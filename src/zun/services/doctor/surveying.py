# SPDX-License-Identifier: Apache-2.0
"""A walk over all containers: is each project's usage the sum of what it has, and does anything wait for long? Pure; may take seconds."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from zun.model.errors import Internal
from zun.model.records import ContainerRecord, Observation, Place, Usage, Verb
from zun.model.resources import add, held_by
from zun.model.status import pending_intents
from zun.services.doctor.facts import ProjectFacts, Stuck, Survey
from zun.store.codec import decode

_MOST_NAMED = 5


class Raws(NamedTuple):
    """A container as the view holds it, at one revision with all others: its records (None: absent), and whether its node reports."""

    uuid: str
    wish: bytes
    place: bytes | None
    seen: bytes | None
    node_alive: bool


class _Kind(NamedTuple):
    what: str
    advice: str


_UNPLACED = _Kind(
    "containers wait for a node",
    "See whether a controller leads, and read its log.",
)
_UNDONE = _Kind(
    "containers wait for their nodes to do what was asked",
    "See `zunctl actions NAME` and the log of its node; a pull of a large image may take so long.",
)
_DELETING = _Kind(
    "containers are being deleted",
    "See the log of their nodes: an engine that cannot remove a container says why; `zunctl rm --force` removes harder.",
)
_LEAVING = _Kind(
    "containers are to leave their nodes and cannot",
    "`zunctl node show NODE` says why; make room on other nodes, or bring that node back.",
)


def survey(containers: Iterable[Raws], usages: dict[str, Usage], *, at: float, waiting_seconds: float) -> Survey:
    """What the walk finds. Records that cannot be read are left out: the log names them."""
    counted: dict[str, Usage] = defaultdict(Usage)
    waiting: dict[_Kind, list[tuple[float, str]]] = defaultdict(list)
    number = 0
    for raws in containers:
        number += 1
        try:
            record = decode(ContainerRecord, raws.wish)
            place = decode(Place, raws.place) if raws.place is not None else None
            seen = decode(Observation, raws.seen) if raws.seen is not None else None
        except Internal:
            continue
        counted[record.project_id] = add(counted[record.project_id], held_by(record))
        kind, since = _waits(record, place, seen, node_alive=raws.node_alive)
        if kind is not None and at - since > waiting_seconds:
            waiting[kind].append((since, raws.uuid))
    wrong = [
        ProjectFacts(project, usages.get(project, Usage()), counted[project])
        for project in sorted(counted.keys() | usages.keys())
        if usages.get(project, Usage()) != counted[project]
    ]
    return Survey(
        containers=number,
        projects=len(counted.keys() | usages.keys()),
        wrong=tuple(wrong),
        stuck=tuple(_stuck(kind, found) for kind, found in waiting.items()),
    )


def _waits(
    record: ContainerRecord, place: Place | None, seen: Observation | None, *, node_alive: bool
) -> tuple[_Kind | None, float]:
    """For what a container waits, and since when. A node that is away is said once, not for each of its containers."""
    if place is None or (not place.node and (place.failure is None or place.failure.seq < record.seq)):
        return _UNPLACED, record.intents[-1].at if record.intents else record.updated_at
    if place.leaving is not None:
        return _LEAVING, place.leaving.at
    if not place.node or not node_alive:
        return None, 0.0
    pending = pending_intents(record, place, seen)
    if not pending:
        return None, 0.0
    deletions = [intent.at + (intent.timeout_seconds or 0) for intent in pending if intent.verb is Verb.DELETE]
    if deletions:
        return _DELETING, min(deletions)  # one by force ends the grace of another
    return _UNDONE, max(pending[0].at, place.at)


def _stuck(kind: _Kind, found: list[tuple[float, str]]) -> Stuck:
    found.sort()
    named = tuple(uuid for _, uuid in found[:_MOST_NAMED])
    return Stuck(kind.what, kind.advice, len(found), named, found[0][0])
