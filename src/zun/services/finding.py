# SPDX-License-Identifier: Apache-2.0
"""Finding containers and capsules by what people call them, within what the caller may see."""

from zun.base.ids import canonical_uuid
from zun.model.caller import RequestContext
from zun.model.children import RecordKind
from zun.model.errors import Conflict
from zun.policy.enforcer import Policy
from zun.services.intents import not_found
from zun.store.view import ContainerEntry, View


class Finding:
    """Looks containers up. Every look is as fresh as the store."""

    def __init__(self, view: View, policy: Policy) -> None:
        self._view = view
        self._policy = policy

    async def find(self, ctx: RequestContext, ident: str, *, all_projects: bool) -> ContainerEntry:
        """One container by uuid or name. Raises `NotFound` (other projects' too), `Conflict` for an ambiguous name, `Denied`."""
        if all_projects:
            self._policy.authorize(ctx.caller, "container:get_one_all_projects")
        entry = await self.lookup(ctx, ident)
        if entry is None:
            raise not_found(ident)
        return entry

    async def lookup(
        self, ctx: RequestContext, ident: str, kind: RecordKind = RecordKind.CONTAINER
    ) -> ContainerEntry | None:
        """The same of either kind; None when there is none. Admins see every project, their own first.

        A capsule's containers are found by their uuid, as containers.
        """
        await self._view.fresh()
        caller = ctx.caller
        uuid = canonical_uuid(ident)
        entry = self._by_uuid(uuid, kind) if uuid is not None else None
        if entry is not None and (caller.is_admin or entry.project_id == caller.project_id):
            return entry
        named = self._named(ident, kind, caller.project_id)
        if not named and caller.is_admin:
            named = self._named(ident, kind, None)
        if len(named) > 1:
            things = f"{kind.value or 'container'}s"
            raise Conflict(f"{len(named)} {things} are named {ident}; use the uuid of the one you mean.")
        return named[0] if named else None

    def _by_uuid(self, uuid: str, kind: RecordKind) -> ContainerEntry | None:
        if kind is RecordKind.CONTAINER:
            return self._view.seen_by_people(uuid)
        entry = self._view.container(uuid)
        return entry if entry is not None and entry.kind is kind else None

    def _named(self, name: str, kind: RecordKind, project_id: str | None) -> "list[ContainerEntry]":
        return [entry for entry in self._view.containers(project_id, name=name) if entry.kind is kind]

    async def list(self, ctx: RequestContext, *, all_projects: bool) -> "list[ContainerEntry]":
        """The caller's project's containers, or (admins) everybody's; oldest first. The list is shared: do not change it."""
        caller = ctx.caller
        self._policy.authorize(caller, "container:get_all", project_id=caller.project_id)
        if all_projects:
            self._policy.authorize(caller, "container:get_all_all_projects")
        await self._view.fresh()
        return self._view.by_age(None if all_projects else caller.project_id)
