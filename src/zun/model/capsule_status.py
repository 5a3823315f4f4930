# SPDX-License-Identifier: Apache-2.0
"""What a capsule is, by what its node sees of its containers (the table is in docs/decisions/0061-what-a-capsule-is-at-any-time.md). Pure.

Clients know three outcomes: `Running`, `Stopped` (everything ended, and well) and `Error` (it will not do its work).
"""

from collections.abc import Sequence

from zun.model.children import Child
from zun.model.records import Observation, SeenState
from zun.model.states import Status

_NOT_YET = frozenset({SeenState.ABSENT, SeenState.CREATED})
_RUNS = frozenset({SeenState.RUNNING, SeenState.PAUSED})
_AGAIN = frozenset({SeenState.RESTARTING, SeenState.MISSING})

_SANDBOX: dict[SeenState, Status] = {
    SeenState.MISSING: Status.RESTARTING,
    SeenState.UNKNOWN: Status.UNKNOWN,
    SeenState.GONE: Status.DELETED,
    SeenState.DEAD: Status.DEAD,
}

Found = tuple[Status, str | None]
"""A status and, where something is wrong or worth knowing, why."""


def capsule_status(children: Sequence[Child], seen: Observation) -> Found:
    """The status, and the reason for people. The first of these that holds counts."""
    if seen.error:
        return Status.ERROR, seen.error
    if seen.state in _SANDBOX:
        return _SANDBOX[seen.state], seen.reason or None
    told = {one.uuid: one for one in seen.children}
    absent = Observation("", seen.generation, SeenState.ABSENT)
    known = [(child, told.get(child.uuid, absent)) for child in children]
    for child, one in known:
        if one.error:
            return Status.ERROR, f"{_called(child)}: {one.error}"
    before = _before([(child, one) for child, one in known if child.init])
    return before or _of_containers([(child, one) for child, one in known if not child.init])


def ended_well(seen: Observation) -> bool:
    """Whether a process came to its end with exit code 0."""
    return seen.state is SeenState.EXITED and seen.exit_code == 0


def _before(inits: Sequence[tuple[Child, Observation]]) -> Found | None:
    """While the init containers are not through; None: they are."""
    for child, one in inits:
        if ended_well(one):
            continue
        if one.state is SeenState.EXITED:
            return Status.ERROR, f"{_called(child)} {_end(one)}, so nothing after it is started."
        if one.state is SeenState.UNKNOWN:
            return Status.UNKNOWN, one.reason or None
        return Status.CREATING, f"{_called(child)}: {one.reason}" if one.reason else None
    return None


def _of_containers(apps: Sequence[tuple[Child, Observation]]) -> Found:
    states = {one.state for _, one in apps}
    remark = next((f"{_called(child)}: {one.reason}" for child, one in apps if one.reason), None)
    if SeenState.UNKNOWN in states:
        return Status.UNKNOWN, remark
    if states & _NOT_YET:
        return Status.CREATING, remark
    failed = [f"{_called(child)} {_end(one)}" for child, one in apps if _failed(one)]
    if states & (_RUNS | _AGAIN):
        return Status.RUNNING, remark or (f"{failed[0]}; the others go on." if failed else None)
    if failed:
        return Status.ERROR, f"{'; '.join(failed)}."
    return Status.STOPPED, None


def _failed(one: Observation) -> bool:
    return one.state is SeenState.DEAD or (one.state is SeenState.EXITED and one.exit_code != 0)


def _end(one: Observation) -> str:
    how = "ended" if one.exit_code is None else f"ended with exit code {one.exit_code}"
    return f"{how} ({one.reason})" if one.reason else how


def _called(child: Child) -> str:
    return f"{'Init container' if child.init else 'Container'} {child.given_name or child.spec.name}"
