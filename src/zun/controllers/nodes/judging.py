# SPDX-License-Identifier: Apache-2.0
"""Whether a container is to leave its node. Pure."""

from collections.abc import Callable

import msgspec

from zun.model.moving import Leaving, LeavingKind, stays
from zun.model.records import ContainerRecord, Observation, Place, Verb


class Situation(msgspec.Struct, frozen=True):
    """How a node is. `gone`: its heartbeat is missing, since `away_seconds`; `life` is the revision of its last lease."""

    gone: bool = False
    away_seconds: float = 0.0
    life: int = 0
    forced: bool = False
    draining: bool = False

    @property
    def in_trouble(self) -> bool:
        """Whether anything may have to leave it."""
        return self.gone or self.forced or self.draining


class Verdict(msgspec.Struct, frozen=True):
    """`leaving` is what the place is to say. `wait_seconds`: look again then (None: when something changes)."""

    leaving: Leaving | None
    wait_seconds: float | None = None


def judge(
    record: ContainerRecord,
    place: Place,
    seen: Observation | None,
    node: Situation,
    begin: Callable[[LeavingKind], Leaving | None],
) -> Verdict:
    """What is to be. `begin` makes a new departure, or None when enough are on their way already.

    A departure that its node was not told of is called off when its reason is gone; one that it was told of goes on.
    """
    before = place.leaving
    if any(intent.verb is Verb.DELETE for intent in record.intents):
        return Verdict(before)
    ordered = before is not None and before.order is not None
    if not ordered and stays(record.spec) is not None:
        return Verdict(None)
    if not node.gone:
        return Verdict(_while_it_reports(before, node, begin))
    delay = place.heal_delay_seconds
    if delay is None or not _is_guarded(place, seen):
        return Verdict(before if ordered else None)
    if node.away_seconds >= delay:
        began = before or begin(LeavingKind.FORCED if node.forced else LeavingKind.LOST)
        return Verdict(msgspec.structs.replace(began, lost_life=node.life) if began is not None else None)
    keeps = before is not None and (ordered or before.kind is not LeavingKind.LOST)
    waiting = msgspec.structs.replace(before, lost_life=None) if before is not None and keeps else None
    return Verdict(waiting, delay - node.away_seconds)


def _while_it_reports(
    before: Leaving | None, node: Situation, begin: Callable[[LeavingKind], Leaving | None]
) -> Leaving | None:
    kind = LeavingKind.FORCED if node.forced else LeavingKind.DRAINED if node.draining else None
    ordered = before is not None and before.order is not None
    if before is not None and (ordered or (kind is not None and before.kind is not LeavingKind.LOST)):
        return msgspec.structs.replace(before, lost_life=None)
    return begin(kind) if kind is not None else None


def _is_guarded(place: Place, seen: Observation | None) -> bool:
    """Whether the node stops it by itself: it said so, or said nothing yet and was asked to from the beginning."""
    if seen is None or seen.generation != place.generation:
        return place.guarded
    return seen.guarded
