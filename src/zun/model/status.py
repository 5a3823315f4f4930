# SPDX-License-Identifier: Apache-2.0
"""The status people see: one pure function of wish, place, observation and the node's liveness.

Nothing stores it, so it cannot go stale: a lost node costs no write per container, its containers *are* `Unknown`
the moment its lease is gone.
"""

import time

import msgspec

from zun.model.capsule_status import capsule_status
from zun.model.children import RecordKind
from zun.model.moving import stays
from zun.model.records import ContainerRecord, Intent, Observation, Place, SeenState, Verb
from zun.model.states import Status, TaskState

NO_HOSTS = "There are not enough hosts available."

_TASKS: dict[Verb, TaskState | None] = {
    Verb.CREATE: TaskState.CREATING,
    Verb.START: TaskState.STARTING,
    Verb.STOP: TaskState.STOPPING,
    Verb.REBOOT: TaskState.REBOOTING,
    Verb.PAUSE: TaskState.PAUSING,
    Verb.UNPAUSE: TaskState.UNPAUSING,
    Verb.KILL: TaskState.KILLING,
    Verb.REBUILD: TaskState.REBUILDING,
    Verb.RESIZE: None,
    Verb.COMMIT: None,
    Verb.NETWORK_ATTACH: TaskState.NETWORK_ATTACHING,
    Verb.NETWORK_DETACH: TaskState.NETWORK_DETACHING,
    Verb.DELETE: TaskState.DELETING,
}

_SEEN: dict[SeenState, Status] = {
    SeenState.ABSENT: Status.CREATING,
    SeenState.CREATED: Status.CREATED,
    SeenState.RUNNING: Status.RUNNING,
    SeenState.PAUSED: Status.PAUSED,
    SeenState.EXITED: Status.STOPPED,
    SeenState.RESTARTING: Status.RESTARTING,
    SeenState.DEAD: Status.DEAD,
    SeenState.MISSING: Status.ERROR,
    SeenState.GONE: Status.DELETED,
    SeenState.UNKNOWN: Status.UNKNOWN,
}

_WHILE_PENDING: dict[Verb, Status] = {
    Verb.CREATE: Status.CREATING,
    Verb.REBOOT: Status.RESTARTING,
    Verb.REBUILD: Status.REBUILDING,
}


def observed_status(seen: Observation) -> Status:
    """What the node's observation says by itself; the agent asks the state table with it when it carries an intent out."""
    return Status.ERROR if seen.error else _SEEN[seen.state]


class Derived(msgspec.Struct, frozen=True):
    """A container's status with the task in work and the reason when something is wrong."""

    status: Status
    task_state: TaskState | None = None
    reason: str | None = None


class Away(msgspec.Struct, frozen=True):
    """A node that does not report, as far as people are told.

    `since`: when this process saw it vanish (None: it was away already), in seconds since the epoch; `forced`: an operator declared it
    down; `held_back`: so many nodes are gone that nothing is moved.
    """

    since: float | None = None
    forced: bool = False
    held_back: bool = False


AWAY = Away()


def pending_intents(record: ContainerRecord, place: Place | None, seen: Observation | None) -> list[Intent]:
    """The intents nobody has carried out or refused yet, in order."""
    done = 0
    if seen is not None and place is not None and seen.generation == place.generation:
        done = seen.intent_done
    elif place is not None and place.resume is not None:
        done = place.resume.intent_done
    refused = place.resize_refused if place is not None else {}
    return [intent for intent in record.intents if intent.n > done and intent.n not in refused]


def derive_status(
    record: ContainerRecord, place: Place | None, seen: Observation | None, *, node_alive: bool, away: Away = AWAY
) -> Derived:
    """What the container, the capsule, or one container of a capsule is. An observation of another generation than the place's counts as none.

    `away` tells more of a node that is not alive.
    """
    if place is not None and seen is not None and seen.generation != place.generation:
        seen = None
    pending = pending_intents(record, place, seen)
    if any(intent.verb is Verb.DELETE for intent in pending):
        return Derived(Status.DELETING, TaskState.DELETING, (seen.error or None) if seen else None)
    first = pending[0] if pending else None
    if place is None or (not place.node and (place.failure is None or place.failure.seq < record.seq)):
        return Derived(Status.CREATING, TaskState.CREATING)
    if not place.node:
        assert place.failure is not None  # noqa: S101 - narrowed above
        return Derived(Status.ERROR, None, place.failure.reason)
    if not node_alive:
        return Derived(Status.UNKNOWN, None, _why_unknown(record, place, away))
    moving = _moving(place, seen)
    if moving is not None:
        return moving
    if seen is None:
        return Derived(Status.CREATING, TaskState.CREATING)
    if record.kind is not RecordKind.CONTAINER:
        return _capsule(record, seen) if record.kind is RecordKind.CAPSULE else _child(seen)
    task = _TASKS[first.verb] if first is not None else None
    if seen.pulling and task is TaskState.CREATING:
        task = TaskState.IMAGE_PULLING
    if first is not None and first.verb in _WHILE_PENDING:
        return Derived(_WHILE_PENDING[first.verb], task)
    if seen.error:
        return Derived(Status.ERROR, task, seen.error)
    return Derived(_SEEN[seen.state], task, seen.reason or _leaving(place) or None)


def _capsule(record: ContainerRecord, seen: Observation) -> Derived:
    status, reason = capsule_status(record.children, seen)
    return Derived(status, TaskState.CREATING if status is Status.CREATING else None, reason)


def _child(seen: Observation) -> Derived:
    """One container of a capsule is what is seen of it, whatever is in work for the whole."""
    status = observed_status(seen)
    task = None
    if status is Status.CREATING:
        task = TaskState.IMAGE_PULLING if seen.pulling else TaskState.CREATING
    return Derived(status, task, seen.error or seen.reason or None)


def _why_unknown(record: ContainerRecord, place: Place, away: Away) -> str:
    node, delay = place.node, place.heal_delay_seconds
    silent = f"Node {node} was declared down" if away.forced else f"Node {node} does not report"
    if delay is None or stays(record.spec) is not None:
        return f"{silent}; its containers may still run."
    lost = silent if away.forced else f"Node {node} is lost"
    if place.failure is not None:
        return f"{lost}, and no other can have the container: {place.failure.detail}"
    if place.leaving is not None:
        return f"{lost}; the container moves to another now."
    if away.held_back and not away.forced:
        return f"{lost}, and so many others are that nothing moves until some return."
    if away.since is None:
        return f"{lost}; the container moves to another when it was away for {delay:g} seconds."
    return (
        f"{lost}; the container moves to another at {_clock_time(away.since + delay)} or soon after, unless it returns."
    )


def _moving(place: Place, seen: Observation | None) -> Derived | None:
    """A container on its way between nodes: removed from the one, not yet made on the other."""
    order = place.leaving.order if place.leaving is not None else None
    if order is not None:
        reason = f"Node {place.node} is {order.kind.value}; the container is removed there and moves to another."
        return Derived(Status.REBUILDING, TaskState.REBUILDING, (seen.error or reason) if seen else reason)
    resume = place.resume
    if resume is None or (seen is not None and (seen.state is not SeenState.ABSENT or seen.error)):
        return None
    task = TaskState.IMAGE_PULLING if seen is not None and seen.pulling else TaskState.REBUILDING
    progress = f" {seen.reason}" if seen is not None and seen.reason else ""
    return Derived(
        Status.REBUILDING, task, f"Node {resume.origin} is {resume.kind.value}; it is made on {place.node}.{progress}"
    )


def _leaving(place: Place) -> str:
    """What the owner of a container reads that is to leave its node and is still there."""
    if place.leaving is None:
        return ""
    why = f"Node {place.node} is {place.leaving.kind.value}"
    if place.failure is not None:
        return f"{why}, and no other can have the container: {place.failure.detail}"
    return f"{why}; the container moves to another."


def _clock_time(at: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at))
