# SPDX-License-Identifier: Apache-2.0
"""Containers: what a request means. One door to the parts that find, create, act, update and remember."""

import asyncio
import random
from collections.abc import Sequence

import msgspec

from zun.base.clock import Clock
from zun.base.sealing import MasterKey
from zun.model.caller import RequestContext
from zun.model.container import ContainerSpec
from zun.model.creation import ContainerChanges
from zun.model.errors import Internal
from zun.model.records import Limits, Verb
from zun.model.sandboxes import NO_SANDBOXES, Sandboxes
from zun.policy.enforcer import Policy
from zun.services.accepting import Accepting
from zun.services.actions import ActionArguments, Actions
from zun.services.capsules import CapsuleService
from zun.services.composing import Composing
from zun.services.creating import Creating
from zun.services.finding import Finding
from zun.services.history import ActionView, History
from zun.services.image_sources import ImageSources
from zun.services.intents import Intents, not_found, trace_accept
from zun.services.options import ContainerOptions
from zun.services.settling import Settling
from zun.services.updating import Updating
from zun.store.interface import Store
from zun.store.view import ContainerEntry, View
from zun.telemetry.tracing import NO_TRACER, Tracer

__all__ = ["ActionArguments", "ActionView", "ContainerService"]


class ContainerService:
    """Every call checks policy, then state, then quota, then writes one transaction; each returns when the view shows it.

    `run` must be running. All calls raise errors of `zun.model.errors` only; with the store away writes raise `Unavailable`, while
    `find` and `list` answer from the view (see `View.stale_since`).
    """

    def __init__(
        self,
        store: Store,
        view: View,
        policy: Policy,
        clock: Clock,
        *,
        master_key: MasterKey,
        options: ContainerOptions,
        default_limits: Limits,
        sandboxes: Sandboxes = NO_SANDBOXES,
        rng: random.Random | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._view = view
        self._clock = clock
        self._tracer = tracer
        self._finding = Finding(view, policy)
        self._creating = Creating(
            view, policy, clock=clock, master_key=master_key, options=options, sandboxes=sandboxes, rng=rng
        )
        self._accepting = Accepting(store, view, clock, default_limits)
        intents = Intents(store, view, clock, options, tracer=tracer)
        images = ImageSources(view, master_key)
        self._actions = Actions(view, policy, intents, images, options)
        self._settling = Settling(store, view, clock, intents)
        self._updating = Updating(
            store,
            view,
            policy,
            intents=intents,
            settling=self._settling,
            options=options,
            defaults=default_limits,
        )
        self._history = History(store, view, policy, self._finding)
        self.capsules = CapsuleService(
            view,
            policy,
            clock,
            finding=self._finding,
            composing=Composing(view, policy, clock=clock, images=images, options=options, sandboxes=sandboxes),
            accepting=self._accepting,
            intents=intents,
            tracer=tracer,
        )
        """Groups of containers; they share quota, names and transactions with containers."""

    async def run(self) -> None:
        """What goes on between requests: writing accepted creates, and settling resizes. Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._accepting.run(), name="accepting")
            tasks.create_task(self._settling.run(), name="settling")

    async def create(
        self,
        ctx: RequestContext,
        spec: ContainerSpec,
        files: dict[int, bytes],
        *,
        run: bool,
        given: frozenset[str],
    ) -> ContainerEntry:
        """Accept a container of the caller's project. `files` are contents to inject, by the numbers in `spec.mounts`;
        `given` names the fields that the request set (the operator's defaults replace others).

        Raises `Denied`, `Invalid` (413 when too large), `Unsupported`, `NotFound` (host, network, registry), `Conflict` (name),
        `QuotaExceeded`, `Precondition`, `Unavailable`; nothing is recorded then.
        """
        await self._view.trusted()
        accept = self._creating.prepare(ctx, spec, files, run=run, given=given)
        uuid, recorded = accept.record.uuid, await self._accepting.accept(accept)
        trace_accept(self._tracer, uuid, accept.started, self._clock.now())
        return await self._shown(uuid, at_least=recorded)

    async def find(self, ctx: RequestContext, ident: str, *, all_projects: bool = False) -> ContainerEntry:
        """One container by uuid or name. Raises `NotFound` (other projects' too), `Conflict` for an ambiguous name."""
        return await self._finding.find(ctx, ident, all_projects=all_projects)

    async def list(self, ctx: RequestContext, *, all_projects: bool = False) -> "list[ContainerEntry]":
        """The project's containers, or (admins) everybody's; oldest first. The list is shared: do not change it."""
        return await self._finding.list(ctx, all_projects=all_projects)

    async def act(self, ctx: RequestContext, entry: ContainerEntry, verb: Verb, **arguments: str | int | None) -> None:
        """Accept start, stop, reboot, pause, unpause, kill, rebuild, network_attach or network_detach.

        `arguments` are those of `ActionArguments`. Raises `Conflict` (state, too many waiting), `Invalid`, `NotFound`, `Unsupported`.
        """
        try:
            asked = msgspec.convert(arguments, ActionArguments)
        except msgspec.ValidationError as error:
            raise Internal(f"The arguments of {verb.value} are of the wrong kind.") from error
        await self._actions.act(ctx, entry, verb, asked)

    async def commit(self, ctx: RequestContext, entry: ContainerEntry, repository: str, tag: str | None = None) -> str:
        """Accept a commit; returns the new image's uuid."""
        return await self._actions.commit(ctx, entry, repository, tag)

    async def delete(
        self,
        ctx: RequestContext,
        entry: ContainerEntry,
        *,
        force: bool = False,
        stop: bool = False,
        all_projects: bool = False,
    ) -> None:
        """Accept a delete. The container is `Deleting` until its node and the leader are done."""
        await self._actions.delete(ctx, entry, force=force, stop=stop, all_projects=all_projects)

    async def update(self, ctx: RequestContext, entry: ContainerEntry, changes: ContainerChanges) -> ContainerEntry:
        """Change name, auto-heal, cpu, memory; waits for the node. Raises what the node or the leader refuses, and `Timeout`."""
        await self._updating.update(ctx, entry, changes)
        return await self._shown(entry.uuid)

    async def resize(self, ctx: RequestContext, entry: ContainerEntry, changes: ContainerChanges) -> ContainerEntry:
        """The same without waiting."""
        await self._updating.resize(ctx, entry, changes)
        return await self._shown(entry.uuid)

    async def rename(self, ctx: RequestContext, entry: ContainerEntry, name: str) -> ContainerEntry:
        """Give it another name. Raises `Conflict` for its own or a taken one."""
        await self._updating.rename(ctx, entry, name)
        return await self._shown(entry.uuid)

    async def actions(self, ctx: RequestContext, ident: str) -> Sequence[ActionView]:
        """The history, newest first; of a container that is gone by its uuid. Raises `NotFound`."""
        return await self._history.actions(ctx, ident)

    async def action(self, ctx: RequestContext, ident: str, request_id: str) -> ActionView:
        """One line of it. Raises `NotFound`."""
        return await self._history.action(ctx, ident, request_id)

    async def _shown(self, uuid: str, *, at_least: int = 0) -> ContainerEntry:
        await self._view.at_least(at_least)
        entry = self._view.container(uuid)
        if entry is None:
            raise not_found(uuid)
        return entry
