# SPDX-License-Identifier: Apache-2.0
"""The status people see: one pure function of wish, place, observation and the node's liveness.

Nothing stores it, so it cannot go stale: a lost node costs no write per container, its containers *are* `Unknown`
the moment its lease is gone.
"""

import msgspec

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


def pending_intents(record: ContainerRecord, place: Place | None, seen: Observation | None) -> list[Intent]:
    """The intents nobody has carried out or refused yet, in order."""
    done = seen.intent_done if seen is not None and place is not None and seen.generation == place.generation else 0
    refused = place.resize_refused if place is not None else {}
    return [intent for intent in record.intents if intent.n > done and intent.n not in refused]


def derive_status(
    record: ContainerRecord, place: Place | None, seen: Observation | None, *, node_alive: bool
) -> Derived:
    """What the container is. An observation of another generation than the place's counts as none."""
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
        return Derived(Status.UNKNOWN, None, f"Node {place.node} does not report; its containers may still run.")
    if seen is None:
        return Derived(Status.CREATING, TaskState.CREATING)
    task = _TASKS[first.verb] if first is not None else None
    if seen.pulling and task is TaskState.CREATING:
        task = TaskState.IMAGE_PULLING
    if first is not None and first.verb in _WHILE_PENDING:
        return Derived(_WHILE_PENDING[first.verb], task)
    if seen.error:
        return Derived(Status.ERROR, task, seen.error)
    return Derived(_SEEN[seen.state], task, seen.reason or None)
