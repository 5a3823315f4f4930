# SPDX-License-Identifier: Apache-2.0
"""Changing a container that exists: its name, auto-heal, cpu and memory.

New resources are counted in the quota and written into the wish at once; the leader grants or refuses them, the node carries them
out, and `zun.services.settling` undoes what was not to be had.
"""

import asyncio

import msgspec

from zun.drivers.runtime.types import Capability
from zun.model.caller import RequestContext
from zun.model.creation import ContainerChanges
from zun.model.errors import Conflict, Timeout, Unsupported, ZunError
from zun.model.records import ActionRecord, ActionResult, Intent, Limits, NameClaim, Verb
from zun.model.resources import held_by
from zun.model.states import Action
from zun.policy.enforcer import Policy
from zun.services.intents import Change, Intents, not_found
from zun.services.limits import effective_limits
from zun.services.naming import claimed_names, name_taken
from zun.services.options import ContainerOptions
from zun.services.settling import Settling, account, change_resources, unsettled
from zun.store import codec, keys
from zun.store.interface import Delete, Put, Store, absent
from zun.store.results import result_of
from zun.store.view import ContainerEntry, Subscription, View
from zun.store.view_expect import Expectation


class Updating:
    """Accepts changes, and waits for their outcome where the caller does."""

    def __init__(
        self,
        store: Store,
        view: View,
        policy: Policy,
        *,
        intents: Intents,
        settling: Settling,
        options: ContainerOptions,
        defaults: Limits,
    ) -> None:
        self._store = store
        self._view = view
        self._policy = policy
        self._intents = intents
        self._settling = settling
        self._options = options
        self._defaults = defaults

    async def update(self, ctx: RequestContext, entry: ContainerEntry, changes: ContainerChanges) -> None:
        """Change it; with new resources, return when its node gave them to it.

        Raises `Conflict` (state, name, refused by the leader), `QuotaExceeded`, `Unsupported`, `Timeout`, and what the node reports.
        """
        self._policy.authorize(ctx.caller, "container:update", project_id=entry.project_id)
        subscription = self._view.subscribe()
        with self._view.expect(entry.uuid, ctx.request_id) as expectation:
            number = await self._accept(ctx, entry, changes, Action.UPDATE)
            if number:
                await self._outcome(ctx, entry.uuid, number, expectation, subscription)

    async def resize(self, ctx: RequestContext, entry: ContainerEntry, changes: ContainerChanges) -> None:
        """The same without waiting."""
        self._policy.authorize(ctx.caller, "container:resize_container", project_id=entry.project_id)
        await self._accept(ctx, entry, changes, Action.RESIZE_CONTAINER)

    async def rename(self, ctx: RequestContext, entry: ContainerEntry, name: str) -> None:
        """Give it another name, in any state. Raises `Conflict` for its own or a taken name."""
        self._policy.authorize(ctx.caller, "container:rename", project_id=entry.project_id)
        await self._intents.change(entry.uuid, lambda change: self._rename(change, name))

    async def _accept(
        self, ctx: RequestContext, entry: ContainerEntry, changes: ContainerChanges, action: Action
    ) -> int:
        """Record the changes; the number of the resize intent, 0 when none is needed."""
        if unsettled(entry.record()):
            await self._settling.settle(entry.uuid)  # the one before may be done without anybody having seen to it yet

        async def decide(change: Change) -> int:
            change.require(action)
            if changes.name is not None:
                await self._rename(change, changes.name)
            spec = change.record.spec
            if changes.auto_heal is not None:
                spec.auto_heal = changes.auto_heal
            cpu = changes.cpu if changes.cpu != spec.cpu else None
            memory = changes.memory if changes.memory != spec.memory else None
            return self._resize(ctx, change, cpu, memory) if cpu is not None or memory is not None else 0

        return await self._intents.change(entry.uuid, decide)

    def _resize(self, ctx: RequestContext, change: Change, cpu: float | None, memory: int | None) -> int:
        record = change.record
        if unsettled(record):
            raise Conflict(f"Container {record.uuid} is being given other resources already; try again in a moment.")
        node = self._view.node(change.node)
        if node is not None and node.info is not None and Capability.LIVE_RESIZE.value not in node.info.capabilities:
            raise Unsupported(f"Host {change.node} cannot change the resources of a container that exists.")
        intent = Intent(
            0,
            Verb.RESIZE,
            ctx.request_id,
            change.now,
            cpu=cpu,
            memory=memory,
            cpu_before=record.spec.cpu if cpu is not None else None,
            memory_before=record.spec.memory if memory is not None else None,
        )
        limits = effective_limits(self._view, record.project_id, self._defaults)
        held = held_by(record)
        change_resources(change, cpu=cpu, memory=memory)
        change.intend(ctx, intent)
        account(self._view, change, held, limits)
        return record.seq

    async def _rename(self, change: Change, name: str) -> None:
        record = change.record
        if name == record.spec.name:
            raise Conflict(f"Container {record.uuid} has the name {name} already; choose another one.")
        wanted = claimed_names(self._options, record.project_id, name)
        for key in set(wanted) - set(record.names):
            if await self._store.get(key) is not None:
                raise name_taken(name)
            change.compares.append(absent(key))
            change.ops.append(Put(key, codec.encode(NameClaim(record.uuid))))
        change.ops += [Delete(key) for key in set(record.names) - set(wanted)]
        record.names = wanted
        record.spec = msgspec.structs.replace(record.spec, name=name)

    async def _outcome(
        self, ctx: RequestContext, uuid: str, number: int, expectation: Expectation, subscription: Subscription
    ) -> None:
        """Wait for the node's result, or the leader's refusal; see that it is settled; raise what went wrong."""
        finished = asyncio.ensure_future(expectation.result(self._options.update_timeout_seconds))
        decided = asyncio.ensure_future(self._refused_or_settled(uuid, number, subscription))
        try:
            await asyncio.wait({finished, decided}, return_when=asyncio.FIRST_COMPLETED)
            result = finished.result() if finished.done() else None
        finally:
            finished.cancel()
            decided.cancel()
        if result is None:
            await self._settling.settle(uuid)
            result = await self._recorded(ctx, uuid)
        elif result.message is not None:
            await self._view.fresh()
            await self._settling.settle(uuid)
        if result is not None and result.message is not None:
            raise _failure(result)

    async def _refused_or_settled(self, uuid: str, number: int, subscription: Subscription) -> None:
        """Until the leader refused the resize, or somebody has settled it."""
        while True:
            entry = self._view.container(uuid)
            if entry is None:
                raise not_found(uuid)
            place = entry.place()
            if place is None or number in place.resize_refused:
                return
            if all(intent.n != number for intent in entry.record().intents):
                return
            await anext(subscription)

    async def _recorded(self, ctx: RequestContext, uuid: str) -> ActionResult | None:
        """What the history says of a resize that is settled."""
        entry = self._view.container(uuid)
        node = entry.node if entry is not None else ""
        done = await result_of(self._store, node, uuid, ctx.request_id)
        if done is not None:
            return done
        line = await self._store.get(keys.action(uuid, ctx.request_id))
        if line is None:
            return None
        action = codec.decode(ActionRecord, line.value)
        return ActionResult(ctx.request_id, action.n, action.start_time, action.finish_time, action.message)


def _failure(result: ActionResult) -> ZunError:
    message = result.message or ""
    if result.error_status == Timeout.status:
        return Timeout(message)
    if result.error_status not in range(400, 600) or result.error_status == 401:  # no such failure; 401 is about tokens
        return Conflict(message)
    return ZunError(message, code=result.error_code, status=result.error_status)
