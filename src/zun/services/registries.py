# SPDX-License-Identifier: Apache-2.0
"""Private registries: where a project's images come from, with a login that lies encrypted and is never shown."""

import msgspec

from zun.base.clock import Clock
from zun.base.ids import canonical_uuid, new_uuid
from zun.base.sealing import MasterKey
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, NotFound
from zun.model.registry import RegistryRecord
from zun.policy.enforcer import Policy
from zun.services.optimistic import OptimisticWriter, Write
from zun.store import codec, keys
from zun.store.interface import Delete, Put, absent
from zun.store.view import View


class RegistryChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What an update sets; UNSET stays as it is, None removes."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    domain: str | msgspec.UnsetType = msgspec.UNSET
    username: str | msgspec.UnsetType | None = msgspec.UNSET
    password: str | msgspec.UnsetType | None = msgspec.UNSET


class RegistryService:
    """Registries of projects. Names need not be unique; an ambiguous one is refused where it is used."""

    def __init__(
        self, view: View, policy: Policy, writer: OptimisticWriter, master_key: MasterKey, clock: Clock
    ) -> None:
        self._view = view
        self._policy = policy
        self._writer = writer
        self._master_key = master_key
        self._clock = clock

    async def create(
        self, ctx: RequestContext, *, name: str, domain: str, username: str | None = None, password: str | None = None
    ) -> RegistryRecord:
        """Add a registry to the caller's project."""
        caller = ctx.caller
        self._policy.authorize(caller, "registry:create", project_id=caller.project_id)
        new = RegistryRecord(
            uuid=new_uuid(),
            project_id=caller.project_id,
            user_id=caller.user_id,
            name=name,
            domain=domain,
            created_at=self._clock.now(),
            username=username,
            password=self._encrypted(password),
        )
        key = keys.registry(new.uuid)

        async def add() -> Write[RegistryRecord]:
            return Write(result=new, compares=[absent(key)], ops=[Put(key, codec.encode(new))])

        return await self._writer.write(f"registry {name}", add)

    async def list(self, ctx: RequestContext, *, all_projects: bool = False) -> "list[RegistryRecord]":
        """The project's registries (or everybody's, for admins), oldest first."""
        caller = ctx.caller
        self._policy.authorize(caller, "registry:get_all", project_id=caller.project_id)
        if all_projects:
            self._policy.authorize(caller, "registry:get_all_all_projects")
        await self._view.fresh()
        found = self._view.registries(None if all_projects else caller.project_id)
        return sorted(found, key=lambda record: (record.created_at, record.uuid))

    async def show(self, ctx: RequestContext, ident: str) -> RegistryRecord:
        """One registry by uuid or name. Raises `NotFound`, and `Conflict` for an ambiguous name."""
        await self._view.fresh()
        record = self._find(ctx, ident)
        self._policy.authorize(ctx.caller, "registry:get_one", project_id=record.project_id)
        return record

    async def update(self, ctx: RequestContext, ident: str, changes: RegistryChanges) -> RegistryRecord:
        """Change some of a registry. Containers that exist keep the login they were created with."""

        async def change() -> Write[RegistryRecord]:
            uuid = self._find(ctx, ident).uuid
            current = await self._writer.current(RegistryRecord, keys.registry(uuid))
            record = current.record
            if record is None:
                raise _no_registry(ident)
            self._policy.authorize(ctx.caller, "registry:update", project_id=record.project_id)
            self._apply(record, changes)
            record.updated_at = self._clock.now()
            return Write(result=record, compares=[current.unchanged()], ops=[current.put(record)])

        return await self._writer.write(f"registry {ident}", change)

    async def delete(self, ctx: RequestContext, ident: str) -> None:
        """Remove a registry. Raises `Conflict` while a container of its project came from it."""

        async def remove() -> Write[None]:
            uuid = self._find(ctx, ident).uuid
            current = await self._writer.current(RegistryRecord, keys.registry(uuid))
            record = current.record
            if record is None:
                raise _no_registry(ident)
            self._policy.authorize(ctx.caller, "registry:delete", project_id=record.project_id)
            self._refuse_while_used(record)
            return Write(result=None, compares=[current.unchanged()], ops=[Delete(current.key)])

        await self._writer.write(f"registry {ident}", remove)

    def _find(self, ctx: RequestContext, ident: str) -> RegistryRecord:
        """In the caller's project; for admins elsewhere too when their own has none."""
        uuid = canonical_uuid(ident)
        if uuid is not None and (found := self._view.registry(uuid)) is not None:
            record = found[0]
            if ctx.caller.is_admin or record.project_id == ctx.caller.project_id:
                return record
        scopes = [ctx.caller.project_id, None] if ctx.caller.is_admin else [ctx.caller.project_id]
        for scope in scopes:
            named = [record for record in self._view.registries(scope) if record.name == ident]
            if len(named) > 1:
                raise Conflict(f"{len(named)} registries are named {ident}; use the uuid of the one you mean.")
            if named:
                return named[0]
        raise _no_registry(ident)

    def _refuse_while_used(self, registry: RegistryRecord) -> None:
        for entry in self._view.containers(registry.project_id):
            if entry.record().registry_id == registry.uuid:
                raise Conflict(
                    f"Container {entry.uuid} came from registry {registry.name}; delete the container first."
                )

    def _apply(self, record: RegistryRecord, changes: RegistryChanges) -> None:
        if changes.name is not msgspec.UNSET:
            record.name = changes.name
        if changes.domain is not msgspec.UNSET:
            record.domain = changes.domain
        if changes.username is not msgspec.UNSET:
            record.username = changes.username
        if changes.password is not msgspec.UNSET:
            record.password = self._encrypted(changes.password)

    def _encrypted(self, password: str | None) -> bytes | None:
        return None if password is None else self._master_key.encrypt(password.encode())


def _no_registry(ident: str) -> NotFound:
    return NotFound(f"There is no registry {ident}; list the registries to see yours.", code="registry-not-found")
