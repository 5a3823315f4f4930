# SPDX-License-Identifier: Apache-2.0
"""Capsules: what a request for a group of containers means. They are accepted, placed and deleted as one."""

from zun.base.clock import Clock
from zun.model.caller import RequestContext
from zun.model.capsule_template import CapsuleRequest
from zun.model.children import RecordKind
from zun.model.errors import NotFound
from zun.model.records import Intent, Verb
from zun.policy.enforcer import Policy
from zun.services.accepting import Accepting
from zun.services.composing import Composing
from zun.services.finding import Finding
from zun.services.intents import Change, Intents, trace_accept
from zun.store.view import ContainerEntry, View
from zun.telemetry.tracing import Tracer


class CapsuleService:
    """Every call checks policy first, and returns when the view shows what it did. Errors are those of `zun.model.errors`."""

    def __init__(
        self,
        view: View,
        policy: Policy,
        clock: Clock,
        *,
        finding: Finding,
        composing: Composing,
        accepting: Accepting,
        intents: Intents,
        tracer: Tracer,
    ) -> None:
        self._view = view
        self._policy = policy
        self._clock = clock
        self._finding = finding
        self._composing = composing
        self._accepting = accepting
        self._intents = intents
        self._tracer = tracer

    async def create(self, ctx: RequestContext, request: CapsuleRequest) -> ContainerEntry:
        """Accept a capsule of the caller's project.

        Raises `Denied`, `Invalid` (413 when too large), `Unsupported`, `NotFound` (network), `Conflict` (name), `QuotaExceeded`, `Precondition`;
        nothing is recorded then.
        """
        await self._view.fresh()
        accept = self._composing.prepare(ctx, request)
        uuid, recorded = accept.record.uuid, await self._accepting.accept(accept)
        trace_accept(self._tracer, uuid, accept.started, self._clock.now())
        await self._view.at_least(recorded)
        entry = self._view.container(uuid)
        if entry is None:
            raise no_capsule(uuid)
        return entry

    async def find(self, ctx: RequestContext, ident: str, *, all_projects: bool = False) -> ContainerEntry:
        """One capsule by uuid or name. Raises `NotFound` (other projects' too), `Conflict` for an ambiguous name."""
        if all_projects:
            self._policy.authorize(ctx.caller, "capsule:get_one_all_projects")
        entry = await self._finding.lookup(ctx, ident, RecordKind.CAPSULE)
        if entry is None:
            raise no_capsule(ident)
        return entry

    async def list(self, ctx: RequestContext, *, all_projects: bool = False) -> "list[ContainerEntry]":
        """The project's capsules, or (admins) everybody's; oldest first. The list is shared: do not change it."""
        self._policy.authorize(ctx.caller, "capsule:get_all", project_id=ctx.caller.project_id)
        if all_projects:
            self._policy.authorize(ctx.caller, "capsule:get_all_all_projects")
        await self._view.fresh()
        return self._view.capsules(None if all_projects else ctx.caller.project_id)

    async def delete(
        self, ctx: RequestContext, entry: ContainerEntry, *, force: bool = False, all_projects: bool = False
    ) -> None:
        """Accept a deletion, in any state: what runs is told to end, and killed after its grace; with `force` at once.

        A second one changes nothing, but that one by force ends the grace.
        """
        self._policy.authorize(ctx.caller, "capsule:delete", project_id=entry.project_id)
        if all_projects:
            self._policy.authorize(ctx.caller, "capsule:delete_all_projects")

        async def decide(change: Change) -> None:
            waiting = [other for other in change.pending if other.verb is Verb.DELETE]
            if waiting and not (force and all(other.stop for other in waiting)):
                return
            grace = None if force else change.record.grace_seconds
            change.intend(
                ctx,
                Intent(0, Verb.DELETE, ctx.request_id, change.now, force=True, stop=not force, timeout_seconds=grace),
            )

        await self._intents.change(entry.uuid, decide)


def no_capsule(ident: str) -> NotFound:
    """The refusal of a capsule that is not there, or not for the caller."""
    return NotFound(f"Capsule {ident} could not be found.", code="container-not-found")
