# SPDX-License-Identifier: Apache-2.0
"""The history of a container that changes its node: the line of the move itself, and what its old node said, which is about to be out of sight."""

from zun.base.clock import Clock
from zun.model.moving import Resume
from zun.model.records import ActionEvent, ActionRecord, ContainerRecord, Place
from zun.model.steps import LEAVE, MOVE, SCHEDULE, with_result
from zun.store import codec, keys
from zun.store.interface import Op, Put, Store
from zun.store.results import results_of

_IN_LAST = 40
"""So many lines are completed together with the move; of a longer history the rest goes before."""

_AT_ONCE = 100
Chunks = tuple[tuple[Op, ...], ...]


def move_line(record: ContainerRecord, resume: Resume, now: float, why: str | None = None) -> Put:
    """The move as an action that nobody asked for. `why` says how the next node was chosen, once it was."""
    detail = f"Node {resume.origin} is {resume.kind.value}."
    events = [ActionEvent(LEAVE, resume.at, detail=detail)]
    if why is not None:
        events = [
            ActionEvent(LEAVE, resume.at, now, "Success", detail),
            ActionEvent(SCHEDULE, now, now, "Success", why),
        ]
    line = ActionRecord(
        action=MOVE,
        request_id=resume.request_id,
        container_uuid=record.uuid,
        project_id=record.project_id,
        user_id="",
        start_time=resume.at,
        n=record.seq,
        events=events,
    )
    return Put(keys.action(record.uuid, resume.request_id), codec.encode(line))


class Past:
    """Reads what the old node said."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def completed(self, record: ContainerRecord, place: Place, resume: Resume) -> tuple[Chunks, tuple[Op, ...]]:
        """What the old node did, copied into the lines of its actions: transactions that go before the move, and the last writes with it.

        Raises `Unavailable`, `Timeout`.
        """
        results = await results_of(self._store, place.node, record.uuid)
        ops: list[Op] = []
        for item in (await self._store.range(keys.actions(record.uuid))).items:
            action = codec.decode(ActionRecord, item.value)
            if action.finish_time is not None or action.request_id == resume.request_id:
                continue
            result = results.get(action.request_id)
            if result is not None and result.finish_time is not None:
                done = with_result(action, result, place)
            elif action.action == MOVE:
                done = with_result(action, None, None)
                done.finish_time = self._clock.now()
                done.message = f"Node {place.node} is {resume.kind.value}; it moves again."
            else:
                continue  # what nobody did yet, the next node does
            ops.append(Put(item.key, codec.encode(done, over=item.value)))
        last, earlier = ops[:_IN_LAST], ops[_IN_LAST:]
        return tuple(tuple(earlier[at : at + _AT_ONCE]) for at in range(0, len(earlier), _AT_ONCE)), tuple(last)
