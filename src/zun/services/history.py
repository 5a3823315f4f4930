# SPDX-License-Identifier: Apache-2.0
"""A container's action history: what was asked, what the leader decided and what the node did, put together. It outlives the container."""

import msgspec

from zun.base.ids import canonical_uuid
from zun.model.caller import RequestContext
from zun.model.errors import NotFound
from zun.model.records import ActionEvent, ActionRecord, ActionResult, Place, Verb
from zun.model.steps import ACCEPT, SCHEDULE, accepted_at, scheduling
from zun.policy.enforcer import Policy
from zun.services.finding import Finding
from zun.services.intents import not_found
from zun.store import codec, keys
from zun.store.interface import Store
from zun.store.results import results_of
from zun.store.view import View

_STEPS = {ACCEPT: "accept", SCHEDULE: "schedule", "image": "pull", "create": "create", "start": "start"}
"""Events that are steps of the breakdown, and what it calls them. `compute__do_…` events are whole operations and contain steps."""


class ActionView(msgspec.Struct, frozen=True):
    """One line of history. `message` is None unless it failed; `why` says how the node was chosen; `timings` are milliseconds by step."""

    action: str
    container_uuid: str
    request_id: str
    user_id: str
    project_id: str
    start_time: float
    finish_time: float | None
    message: str | None
    events: list[ActionEvent]
    why: str | None = None
    timings: dict[str, float] = {}


class History:
    """Reads histories."""

    def __init__(self, store: Store, view: View, policy: Policy, finding: Finding) -> None:
        self._store = store
        self._view = view
        self._policy = policy
        self._finding = finding

    async def actions(self, ctx: RequestContext, ident: str) -> list[ActionView]:
        """All lines, newest first; of a container that is gone by its uuid. Raises `NotFound`, `Unavailable` with the store away."""
        uuid, lines = await self._lines(ctx, ident)
        place, results = await self._done(uuid)
        views = [_merged(line, results.get(line.request_id), place) for line in lines]
        order = sorted(zip(lines, views, strict=True), key=lambda pair: (pair[0].start_time, pair[0].n), reverse=True)
        return [view for _, view in order]

    async def action(self, ctx: RequestContext, ident: str, request_id: str) -> ActionView:
        """One line. Raises `NotFound`."""
        for view in await self.actions(ctx, ident):
            if view.request_id == request_id:
                return view
        raise NotFound(f"Action {request_id} of container {ident} could not be found.")

    async def _lines(self, ctx: RequestContext, ident: str) -> tuple[str, list[ActionRecord]]:
        caller = ctx.caller
        entry = await self._finding.lookup(ctx, ident)
        uuid = entry.uuid if entry is not None else canonical_uuid(ident)
        if uuid is None:
            raise not_found(ident)
        await self._view.trusted()  # histories lie in the store alone
        found = await self._store.range(keys.actions(uuid))
        lines = [codec.decode(ActionRecord, item.value) for item in found.items]
        project_id = entry.project_id if entry is not None else lines[0].project_id if lines else None
        if project_id is None or not (caller.is_admin or project_id == caller.project_id):
            raise not_found(ident)
        self._policy.authorize(caller, "container:actions", project_id=project_id)
        return uuid, lines

    async def _done(self, uuid: str) -> tuple[Place | None, dict[str, ActionResult]]:
        """What the leader and the node say, while the container is there; afterwards the lines are complete by themselves."""
        entry = self._view.container(uuid)
        place = entry.place() if entry is not None else None
        if place is None or not place.node:
            return place, {}
        return place, await results_of(self._store, place.node, uuid)


_NEED_A_PLACE = frozenset(verb.value for verb in (Verb.CREATE, Verb.START, Verb.REBOOT, Verb.REBUILD))
"""Actions that end when no node can have the container."""


def _merged(line: ActionRecord, result: ActionResult | None, place: Place | None) -> ActionView:
    finish, message = line.finish_time, line.message
    events = [*line.events, *scheduling(line, place)]
    if finish is None and result is not None:
        finish, message = result.finish_time, result.message
        events += result.events
    why = next((event.detail for event in events if event.event == SCHEDULE), None)
    failure = place.failure if place is not None and not place.node else None
    if line.action in _NEED_A_PLACE and finish is None and failure is not None and failure.seq >= line.n:
        finish, message, why = failure.at, failure.reason, failure.detail
    return ActionView(
        action=line.action,
        container_uuid=line.container_uuid,
        request_id=line.request_id,
        user_id=line.user_id,
        project_id=line.project_id,
        start_time=line.start_time,
        finish_time=finish,
        message=message,
        events=events,
        why=why,
        timings=_timings(line, finish, events),
    )


def _timings(line: ActionRecord, finish: float | None, events: list[ActionEvent]) -> dict[str, float]:
    """How long each step took, as far as it is known."""
    times: dict[str, float] = {}
    handed_over = accepted_at(line)
    for event in events:
        if event.event == SCHEDULE and event.finish_time is not None:
            handed_over = event.finish_time
        step = _STEPS.get(event.event)
        if step is not None and event.finish_time is not None:
            times[step] = times.get(step, 0.0) + event.finish_time - event.start_time
    by_node = [event.start_time for event in events if event.event not in {ACCEPT, SCHEDULE}]
    if by_node:
        times["deliver"] = max(0.0, min(by_node) - handed_over)
    if finish is not None:
        times["total"] = finish - line.start_time
    return {step: round(1000 * seconds, 1) for step, seconds in times.items()}
