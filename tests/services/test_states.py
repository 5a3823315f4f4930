# SPDX-License-Identifier: Apache-2.0
"""The state table, exhaustively: every action in every status is accepted if, and only if, the wire contract allows it."""

from collections.abc import Awaitable, Callable

import pytest

from support.desk import Desk, context
from zun.model.creation import ContainerChanges
from zun.model.errors import Conflict
from zun.model.records import SeenState, Verb
from zun.model.states import Action, Status
from zun.services.containers import ContainerService
from zun.store.view import ContainerEntry

_SEEN = {
    Status.CREATED: SeenState.CREATED,
    Status.RUNNING: SeenState.RUNNING,
    Status.STOPPED: SeenState.EXITED,
    Status.PAUSED: SeenState.PAUSED,
    Status.RESTARTING: SeenState.RESTARTING,
    Status.DELETED: SeenState.GONE,
    Status.DEAD: SeenState.DEAD,
    Status.ERROR: SeenState.MISSING,
}

_ORDER = [
    "Creating",
    "Created",
    "Running",
    "Stopped",
    "Paused",
    "Restarting",
    "Rebuilding",
    "Deleting",
    "Deleted",
    "Dead",
    "Error",
    "Unknown",
]
_TABLE = {
    "start": ".x.x......x.",
    "stop": "..x..x......",
    "reboot": ".xxx......x.",
    "rebuild": ".xxx......x.",
    "pause": "..x.........",
    "unpause": "....x.......",
    "kill": "..x.........",
    "commit": "..xxx.......",
    "update": ".xxxx.......",
    "resize_container": ".xxxx.......",
    "delete": ".x.x....xxx.",
    "delete_after_stop": ".xxx.x..xxx.",
    "delete_force": "xxxx.xxxxxxx",
}


async def in_status(desk: Desk, status: Status) -> ContainerEntry:
    """A container that is in a status."""
    entry = await desk.create(run=status is Status.RUNNING)
    if status is Status.CREATING:
        return entry
    await desk.world.place(entry.uuid)
    await desk.world.sees(entry.uuid, _SEEN.get(status, SeenState.RUNNING))
    if status is Status.REBUILDING:
        await desk.service.act(context(), entry, Verb.REBUILD)
    if status is Status.DELETING:
        await desk.service.delete(context(), entry, stop=True)
    if status is Status.UNKNOWN:
        await desk.world.node_dies()
    assert desk.world.view.derive(entry).status is status
    return entry


def _act(verb: Verb) -> Callable[[ContainerService, ContainerEntry], Awaitable[object]]:
    return lambda service, entry: service.act(context(), entry, verb)


_MORE = ContainerChanges(auto_heal=True)
CALLS: dict[Action, Callable[[ContainerService, ContainerEntry], Awaitable[object]]] = {
    Action.START: _act(Verb.START),
    Action.STOP: _act(Verb.STOP),
    Action.REBOOT: _act(Verb.REBOOT),
    Action.REBUILD: _act(Verb.REBUILD),
    Action.PAUSE: _act(Verb.PAUSE),
    Action.UNPAUSE: _act(Verb.UNPAUSE),
    Action.KILL: _act(Verb.KILL),
    Action.COMMIT: lambda service, entry: service.commit(context(), entry, "mine"),
    Action.UPDATE: lambda service, entry: service.update(context(), entry, _MORE),
    Action.RESIZE_CONTAINER: lambda service, entry: service.resize(context(), entry, _MORE),
    Action.DELETE: lambda service, entry: service.delete(context(), entry),
    Action.DELETE_AFTER_STOP: lambda service, entry: service.delete(context(), entry, stop=True),
    Action.DELETE_FORCE: lambda service, entry: service.delete(context(admin=True), entry, force=True),
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("action", list(CALLS))
async def test_the_table_decides(desk: Desk, action: Action, status: Status) -> None:
    entry = await in_status(desk, status)
    before = entry.wish_raw
    if _TABLE[action.value][_ORDER.index(status.value)] == "x":
        await CALLS[action](desk.service, entry)
        assert entry.wish_raw != before or status is Status.DELETING
        return
    with pytest.raises(Conflict) as refusal:
        await CALLS[action](desk.service, entry)
    assert refusal.value.code == "invalid-state-exception"
    assert refusal.value.message == f"Cannot {action.value} container {entry.uuid} in {status.value} state."
    assert entry.wish_raw == before


async def test_stop_and_force_together_are_checked_as_stop(desk: Desk) -> None:
    entry = await in_status(desk, Status.UNKNOWN)
    with pytest.raises(Conflict, match="delete_after_stop"):
        await desk.service.delete(context(admin=True), entry, force=True, stop=True)


async def test_an_action_in_work_does_not_make_a_second_one_wrong(desk: Desk) -> None:
    """Until the node has stopped it, it runs; asking twice is no error, as it never was."""
    entry = await in_status(desk, Status.RUNNING)
    await desk.service.act(context(), entry, Verb.STOP)
    assert desk.world.view.derive(entry).status is Status.RUNNING
    await desk.service.act(context(), entry, Verb.STOP)
    assert [intent.verb for intent in entry.record().intents] == [Verb.STOP, Verb.STOP]


async def test_networks_may_be_changed_in_every_state_but_at_the_end(desk: Desk) -> None:
    for status in Status:
        entry = await in_status(desk, status)
        if status in {Status.DELETING, Status.DELETED}:
            with pytest.raises(Conflict, match="network_attach"):
                await desk.service.act(context(), entry, Verb.NETWORK_ATTACH, network="lab")
        else:
            await desk.service.act(context(), entry, Verb.NETWORK_ATTACH, network="lab")
