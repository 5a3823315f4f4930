# SPDX-License-Identifier: Apache-2.0
"""What to do next for one container: a pure decision over its wish, what is known of it, and the time.

The supervisor asks again after each step, so a step never has to know what follows it.
"""

from enum import Enum

import msgspec

from zun.agent.memory import Memory
from zun.model.container import ContainerSpec
from zun.model.records import REPEATABLE, Inbox, Intent, SeenState, Verb


class Kind(Enum):
    """What a step is."""

    LOOK = "look at the engine"
    PURGE = "remove what nobody wishes, then forget it"
    RENEW = "make room for a newer generation"
    ERASE = "remove what is to be on another node"
    RESUME = "make here what was on another node"
    CARRY_OUT = "carry an intent out"
    INTERRUPT = "end an intent that a crash cut off and that must not be repeated"
    RESTART = "start it again under its restart policy"
    HEAL = "make it again after it vanished"
    CLEAR = "remove it after its end (auto_remove)"
    REST = "nothing until something happens, or until a time"


class Step(msgspec.Struct, frozen=True):
    """One step. `resumed`: the intent was begun before a crash. `until`: seconds since the epoch."""

    kind: Kind
    intent: Intent | None = None
    resumed: bool = False
    until: float | None = None


def pending(wanted: Inbox, memory: Memory) -> list[Intent]:
    """The intents not yet carried out, in order."""
    return [intent for intent in wanted.intents if intent.n > memory.observation.intent_done]


def next_step(wanted: Inbox | None, memory: Memory, now: float, *, unsure: bool = False, in_use: bool = False) -> Step:
    """The next step. `unsure`: something happened since the last look; `in_use`: somebody reads its output."""
    observation = memory.observation
    if wanted is None:
        return Step(Kind.PURGE)
    if wanted.generation > observation.generation:
        return Step(Kind.RENEW)
    if wanted.generation < observation.generation:
        return Step(Kind.REST)
    if wanted.absent:
        return Step(Kind.REST if observation.state is SeenState.GONE else Kind.ERASE)
    if memory.begun is not None:
        if memory.begun.verb in REPEATABLE:
            return Step(Kind.CARRY_OUT, memory.begun, resumed=True)
        return Step(Kind.INTERRUPT, memory.begun)
    if unsure and memory.handle:
        return Step(Kind.LOOK)
    waiting = pending(wanted, memory)
    if memory.resume is not None and not any(intent.verb is Verb.DELETE for intent in waiting):
        return Step(Kind.RESUME)
    if waiting:
        if waiting[0].n <= memory.moved_seq and waiting[0].verb not in REPEATABLE:
            return Step(Kind.INTERRUPT, waiting[0])
        return Step(Kind.CARRY_OUT, waiting[0])
    return _by_itself(wanted.spec, memory, now, in_use=in_use)


def _by_itself(spec: ContainerSpec, memory: Memory, now: float, *, in_use: bool) -> Step:
    """What the agent does unasked."""
    due = memory.due
    if due is None:
        return Step(Kind.REST)
    kinds = {SeenState.RESTARTING: Kind.RESTART, SeenState.MISSING: Kind.HEAL}
    kind = kinds.get(memory.observation.state)
    if kind is None and memory.observation.state is SeenState.EXITED and spec.auto_remove:
        kind = Kind.CLEAR
    if kind is None:
        return Step(Kind.REST)
    if kind is Kind.CLEAR and in_use:
        due = max(due, (memory.observation.finished_at or due) + IN_USE_SECONDS)
    return Step(kind) if due <= now else Step(Kind.REST, until=due)


IN_USE_SECONDS = 60.0
"""An ended auto_remove container whose output somebody still reads stays so long, not longer."""


def cuts_short(wanted: Inbox | None, memory: Memory, running: Step) -> str | None:
    """Why what is now wished ends the running step early; None: it goes on.

    A forced deletion cuts everything, a SIGKILL cuts the grace of a stop, any deletion cuts what nobody asked for.
    """
    if running.kind in {Kind.PURGE, Kind.RENEW, Kind.ERASE, Kind.INTERRUPT, Kind.LOOK}:
        return None
    if wanted is None or wanted.absent or wanted.generation > memory.observation.generation:
        return "the container is no longer wished here"
    after = running.intent.n if running.intent is not None else memory.observation.intent_done
    coming = [later for later in wanted.intents if later.n > after]
    if any(_deletion_cuts(running.intent, later) for later in coming):
        return "a deletion was asked for"
    if coming and _kill_cuts(running.intent, coming[0]):
        return "SIGKILL was asked for"
    return None


def _deletion_cuts(running: Intent | None, later: Intent) -> bool:
    if later.verb is not Verb.DELETE:
        return False
    return running is None or (later.force and running.verb not in {Verb.DELETE, Verb.KILL, Verb.COMMIT})


def _kill_cuts(running: Intent | None, following: Intent) -> bool:
    """Only what follows at once: what lies between a stop and a later kill was meant to happen in between."""
    graceful = running is not None and running.verb in {Verb.STOP, Verb.REBOOT}
    return graceful and following.verb is Verb.KILL and following.signal in {None, "SIGKILL"}
