# SPDX-License-Identifier: Apache-2.0
"""The states a container can be in, and what may be done in which (wire contract §8).

One table for the whole house: the services ask it when a request is accepted, the agent asks it again when the
intent is carried out. `derive_status` in `zun.model.status` says which state a container *is* in.
"""

from enum import StrEnum


class Status(StrEnum):
    """What people see."""

    CREATING = "Creating"
    CREATED = "Created"
    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    RESTARTING = "Restarting"
    REBUILDING = "Rebuilding"
    DELETING = "Deleting"
    DELETED = "Deleted"
    DEAD = "Dead"
    ERROR = "Error"
    UNKNOWN = "Unknown"


class Health(StrEnum):
    """What checks say of a running container; without checks it has none."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class TaskState(StrEnum):
    """What is being done at the moment."""

    IMAGE_PULLING = "image_pulling"
    CREATING = "container_creating"
    STARTING = "container_starting"
    DELETING = "container_deleting"
    STOPPING = "container_stopping"
    REBOOTING = "container_rebooting"
    PAUSING = "container_pausing"
    UNPAUSING = "container_unpausing"
    KILLING = "container_killing"
    NETWORK_ATTACHING = "network_attaching"
    NETWORK_DETACHING = "network_detaching"
    REBUILDING = "container_rebuilding"


class Action(StrEnum):
    """Everything that the state table rules; the values are the words of its error messages."""

    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    REBUILD = "rebuild"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    EXECUTE = "execute"
    EXECUTE_RESIZE = "execute_resize"
    ATTACH = "attach"
    RESIZE = "resize"
    PORT_FORWARD = "port_forward"
    TOP = "top"
    STATS = "stats"
    LOGS = "logs"
    GET_ARCHIVE = "get_archive"
    PUT_ARCHIVE = "put_archive"
    COMMIT = "commit"
    UPDATE = "update"
    RESIZE_CONTAINER = "resize_container"
    ADD_SECURITY_GROUP = "add_security_group"
    REMOVE_SECURITY_GROUP = "remove_security_group"
    DELETE = "delete"
    DELETE_AFTER_STOP = "delete_after_stop"
    DELETE_FORCE = "delete_force"


_S = Status
_STARTABLE = frozenset({_S.CREATED, _S.STOPPED, _S.ERROR})
_RUNNING = frozenset({_S.RUNNING})
_BETWEEN_RUNS = frozenset({_S.RESTARTING})  # ours: see docs/decisions/0007-a-crash-loop-can-be-stopped.md
_WITH_FILES = frozenset({_S.CREATED, _S.RUNNING, _S.STOPPED, _S.PAUSED})
_DELETABLE = frozenset({_S.CREATED, _S.STOPPED, _S.DELETED, _S.DEAD, _S.ERROR})

ALLOWED: dict[Action, frozenset[Status]] = {
    Action.START: _STARTABLE,
    Action.STOP: _RUNNING | _BETWEEN_RUNS,
    Action.REBOOT: _STARTABLE | _RUNNING,
    Action.REBUILD: _STARTABLE | _RUNNING,
    Action.PAUSE: _RUNNING,
    Action.UNPAUSE: frozenset({_S.PAUSED}),
    Action.KILL: _RUNNING,
    Action.EXECUTE: _RUNNING,
    Action.EXECUTE_RESIZE: _RUNNING,
    Action.ATTACH: _RUNNING,
    Action.RESIZE: _RUNNING,
    Action.PORT_FORWARD: _RUNNING,
    Action.TOP: _RUNNING,
    Action.STATS: _RUNNING,
    Action.LOGS: _WITH_FILES | {_S.ERROR, _S.UNKNOWN},
    Action.GET_ARCHIVE: _WITH_FILES,
    Action.PUT_ARCHIVE: _WITH_FILES,
    Action.COMMIT: frozenset({_S.RUNNING, _S.STOPPED, _S.PAUSED}),
    Action.UPDATE: _WITH_FILES,
    Action.RESIZE_CONTAINER: _WITH_FILES,
    Action.ADD_SECURITY_GROUP: _WITH_FILES,
    Action.REMOVE_SECURITY_GROUP: _WITH_FILES,
    Action.DELETE: _DELETABLE,
    Action.DELETE_AFTER_STOP: _DELETABLE | _RUNNING | _BETWEEN_RUNS,
    Action.DELETE_FORCE: frozenset(_S) - {_S.PAUSED},
}


def allows(action: Action, status: Status) -> bool:
    """Whether `action` may be done on a container in `status`."""
    return status in ALLOWED[action]
