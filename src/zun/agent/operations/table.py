# SPDX-License-Identifier: Apache-2.0
"""Every verb: what does it, and which rule of the state table it obeys when it is carried out."""

from collections.abc import Awaitable, Callable
from typing import Any

from zun.agent.operations.commit import commit
from zun.agent.operations.create import create
from zun.agent.operations.delete import delete
from zun.agent.operations.job import Job
from zun.agent.operations.kill import kill
from zun.agent.operations.networks import attach, detach
from zun.agent.operations.pause import pause, unpause
from zun.agent.operations.reboot import reboot
from zun.agent.operations.rebuild import rebuild
from zun.agent.operations.resize import resize
from zun.agent.operations.start import start
from zun.agent.operations.stop import stop
from zun.model.errors import wrong_state
from zun.model.records import Intent, Observation, SeenState, Verb
from zun.model.states import Action, Status, allows
from zun.model.status import observed_status

Operation = Callable[[Job], Awaitable[dict[str, Any] | None]]

OPERATIONS: dict[Verb, Operation] = {
    Verb.CREATE: create,
    Verb.START: start,
    Verb.STOP: stop,
    Verb.REBOOT: reboot,
    Verb.PAUSE: pause,
    Verb.UNPAUSE: unpause,
    Verb.KILL: kill,
    Verb.REBUILD: rebuild,
    Verb.RESIZE: resize,
    Verb.COMMIT: commit,
    Verb.NETWORK_ATTACH: attach,
    Verb.NETWORK_DETACH: detach,
    Verb.DELETE: delete,
}

SHOWN_ON_FAILURE = frozenset({Verb.CREATE, Verb.START, Verb.REBUILD, Verb.DELETE})
"""Their failure makes the container `Error`; that of the others is in their result only."""

CLEARS_ERROR = frozenset({Verb.CREATE, Verb.START, Verb.REBOOT, Verb.REBUILD, Verb.DELETE})
"""Their success ends an `Error`."""

_RULES: dict[Verb, Action] = {
    Verb.START: Action.START,
    Verb.STOP: Action.STOP,
    Verb.REBOOT: Action.REBOOT,
    Verb.PAUSE: Action.PAUSE,
    Verb.UNPAUSE: Action.UNPAUSE,
    Verb.KILL: Action.KILL,
    Verb.REBUILD: Action.REBUILD,
    Verb.RESIZE: Action.RESIZE_CONTAINER,
    Verb.COMMIT: Action.COMMIT,
}

_ENDS_RESTARTS = frozenset({Verb.STOP, Verb.REBOOT, Verb.KILL, Verb.DELETE})
"""Accepted while it ran, they still mean what they said in the moment between its end and its restart."""


def check_state(uuid: str, intent: Intent, observation: Observation) -> None:
    """The state table, asked again when an intent is carried out. Raises `Conflict`."""
    rule = _rule(intent)
    if rule is None:
        return
    status = observed_status(observation)
    if observation.state is SeenState.RESTARTING and intent.verb in _ENDS_RESTARTS:
        status = Status.RUNNING
    if status is Status.CREATING and intent.verb in {Verb.START, Verb.REBUILD, Verb.REBOOT, Verb.DELETE}:
        return  # nothing was made yet: these make it, or have nothing to do
    if _came_true(intent, observation):
        return
    if not allows(rule, status):
        raise wrong_state(rule.value, uuid, status.value)


def _came_true(intent: Intent, observation: Observation) -> bool:
    """Whether a start was asked for before the object there is was made: it waited for a place, and has come true meanwhile."""
    made = observation.created_at
    return intent.verb is Verb.START and made is not None and intent.at <= made


def _rule(intent: Intent) -> Action | None:
    if intent.verb is not Verb.DELETE:
        return _RULES.get(intent.verb)
    if intent.stop:
        return Action.DELETE_AFTER_STOP
    # By force whatever state it is in by now: who asked was told that it goes, before a pause that was on its way was done.
    return None if intent.force else Action.DELETE
