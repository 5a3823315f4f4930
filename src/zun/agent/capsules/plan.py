# SPDX-License-Identifier: Apache-2.0
"""What to do next for one capsule: a pure decision over its wish, what is known of it and its containers, and the time.

Nothing here follows an order of steps that was begun: what is there decides, so a crash between any two steps needs no care of its own.
"""

from collections.abc import Collection, Iterable
from enum import Enum

import msgspec

from zun.agent.memory import ALIVE, Memory
from zun.agent.plan import pending
from zun.model.capsule_status import capsule_status, ended_well
from zun.model.records import Inbox, Intent, SeenState, Verb
from zun.model.states import Status


class Kind(Enum):
    """What a step is; the values complete "to …"."""

    PURGE = "remove what nobody wishes, then forget it"
    RENEW = "make room for a newer generation"
    ERASE = "remove what is not to be here"
    DELETE = "delete it"
    LOOK = "look at the engine"
    CLEAR = "clear away what is left of a lost sandbox"
    SANDBOX = "make its sandbox"
    MAKE = "make a container"
    START = "start a container"
    RESTART = "start a container again"
    END = "end a container that is not well"
    TELL = "tell that it is made"
    REST = "wait"


class Step(msgspec.Struct, frozen=True):
    """One step. `child` is the place of a container among the capsule's; `until`: seconds since the epoch."""

    kind: Kind
    child: int = 0
    intent: Intent | None = None
    until: float | None = None


CUTTABLE = frozenset({Kind.SANDBOX, Kind.MAKE, Kind.START, Kind.RESTART, Kind.END})
"""Steps that a deletion does not wait for."""

_TO_MAKE = frozenset({SeenState.ABSENT, SeenState.MISSING})
_WORK = frozenset({Kind.MAKE, Kind.START, Kind.RESTART})
_STARTED = ALIVE | {SeenState.EXITED}


def next_step(
    wanted: Inbox | None, memory: Memory, now: float, *, unsure: bool = False, failing: Collection[str] = ()
) -> Step:
    """The next step. `unsure`: something happened since the last look; `failing`: containers that are to be ended, since a probe of theirs failed."""
    observation = memory.observation
    if wanted is None:
        return Step(Kind.PURGE)
    if wanted.generation != observation.generation:
        return Step(Kind.RENEW if wanted.generation > observation.generation else Kind.REST)
    if observation.state is SeenState.GONE:
        return Step(Kind.REST)
    if wanted.absent:
        return Step(Kind.ERASE)
    waiting = pending(wanted, memory)
    deletion = _deletion(waiting)
    if deletion is not None:
        return Step(Kind.DELETE, intent=deletion)
    if unsure:
        return Step(Kind.LOOK)
    if waiting and has_come_out(wanted, memory):
        return Step(Kind.TELL, intent=waiting[0])
    return _ending(memory, failing) or _work(wanted, memory, now)


def goes_away(wanted: Inbox | None, memory: Memory) -> bool:
    """Whether what is now wished makes pointless whatever is being made."""
    if wanted is None or wanted.absent or wanted.generation > memory.observation.generation:
        return True
    return any(intent.verb is Verb.DELETE for intent in pending(wanted, memory))


def ends_grace(wanted: Inbox | None, memory: Memory, running: Step) -> bool:
    """Whether a deletion that lets what runs end by itself is overtaken by one that does not, or by what nobody may wait for."""
    if running.intent is None or not running.intent.stop:
        return False
    if wanted is None or wanted.absent or wanted.generation > memory.observation.generation:
        return True
    deletion = _deletion(pending(wanted, memory))
    return deletion is not None and not deletion.stop


def _deletion(waiting: Iterable[Intent]) -> Intent | None:
    """The one that counts: the first, or the first that grants no grace."""
    deletions = [intent for intent in waiting if intent.verb is Verb.DELETE]
    return next((intent for intent in deletions if not intent.stop), deletions[0] if deletions else None)


def has_come_out(wanted: Inbox, memory: Memory) -> bool:
    """Whether the creation has ended: every container was started once, or one that must be will not be."""
    if failed_for_good(memory) or any(failed_for_good(one) for one in memory.children):
        return True
    states = [(child.init, one.observation) for child, one in zip(wanted.children, memory.children, strict=True)]
    if any(init and seen.state is SeenState.EXITED and not ended_well(seen) for init, seen in states):
        return True
    return all(seen.state in _STARTED for init, seen in states if not init)


def failed_for_good(memory: Memory) -> bool:
    """Whether it has an error that trying again would not mend."""
    return bool(memory.observation.error) and memory.due is None


def failure(wanted: Inbox, memory: Memory) -> str | None:
    """What went wrong with a creation that has ended; None: nothing."""
    seen = msgspec.structs.replace(memory.observation, children=[one.observation for one in memory.children])
    status, reason = capsule_status(wanted.children, seen)
    return reason or "It failed." if status is Status.ERROR else None


def _ending(memory: Memory, failing: Collection[str]) -> Step | None:
    """What runs and fails its probes is ended; its policy then says what follows."""
    for number, one in enumerate(memory.children):
        if one.uuid in failing and one.observation.state is SeenState.RUNNING:
            return Step(Kind.END, number)
    return None


def _work(wanted: Inbox, memory: Memory, now: float) -> Step:
    """What is to be done for the containers, once there is a sandbox for them."""
    if failed_for_good(memory):
        return Step(Kind.REST)
    if memory.due is not None and memory.due > now:
        return Step(Kind.REST, until=memory.due)
    if memory.observation.state is SeenState.MISSING:
        return Step(Kind.CLEAR)
    step = _of_children(wanted, memory, now)
    return Step(Kind.SANDBOX) if step.kind in _WORK and not memory.handle else step


def _of_children(wanted: Inbox, memory: Memory, now: float) -> Step:
    for number, child in enumerate(wanted.children):
        known = memory.children[number]
        if child.init and not ended_well(known.observation):
            return _of_one(number, known, now)
    steps = [
        _of_one(number, memory.children[number], now) for number, child in enumerate(wanted.children) if not child.init
    ]
    found = next((step for step in steps if step.kind is not Kind.REST), None)
    return found or Step(Kind.REST, until=_soonest(steps))


def _of_one(number: int, known: Memory, now: float) -> Step:
    state = known.observation.state
    if failed_for_good(known):
        return Step(Kind.REST)
    kind = {SeenState.CREATED: Kind.START, SeenState.RESTARTING: Kind.RESTART}.get(state)
    if state in _TO_MAKE:
        kind = Kind.MAKE
    if kind is None:
        return Step(Kind.REST)
    if known.due is not None and known.due > now:
        return Step(Kind.REST, until=known.due)
    return Step(kind, number)


def _soonest(steps: Iterable[Step]) -> float | None:
    return min((step.until for step in steps if step.until is not None), default=None)
