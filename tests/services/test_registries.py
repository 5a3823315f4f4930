# SPDX-License-Identifier: Apache-2.0
"""Private registries: a project's own, with a password nobody sees."""

import pytest

from support.desk import P1, P2, context
from support.records import record
from support.world import World
from zun.base.sealing import MasterKey
from zun.model.errors import Conflict, Denied, NotFound
from zun.policy.enforcer import Policy
from zun.services.optimistic import OptimisticWriter
from zun.services.registries import RegistryChanges, RegistryService
from zun.store import keys

ADMIN = context("admins", admin=True)
MASTER = MasterKey(bytes(32))


@pytest.fixture
def registries(empty_world: World) -> RegistryService:
    """The service."""
    world = empty_world
    writer = OptimisticWriter(world.store, world.view, world.clock)
    return RegistryService(world.view, Policy(), writer, MASTER, world.clock)


async def test_a_password_lies_encrypted_in_the_store(registries: RegistryService, empty_world: World) -> None:
    made = await registries.create(context(), name="mine", domain="reg.example", username="joe", password="s3cret")
    stored = await empty_world.store.get(keys.registry(made.uuid))
    assert stored is not None
    assert b"s3cret" not in stored.value
    assert made.password is not None
    assert MASTER.decrypt(made.password) == b"s3cret"


async def test_a_project_sees_its_own_and_admins_all(registries: RegistryService) -> None:
    mine = await registries.create(context(P1), name="mine", domain="a.example")
    theirs = await registries.create(context(P2), name="theirs", domain="b.example")
    assert [one.uuid for one in await registries.list(context(P1))] == [mine.uuid]
    assert [one.uuid for one in await registries.list(ADMIN, all_projects=True)] == [mine.uuid, theirs.uuid]
    with pytest.raises(Denied):
        await registries.list(context(P1), all_projects=True)
    for ident in (theirs.uuid, "theirs", "nothing"):
        with pytest.raises(NotFound) as refused:
            await registries.show(context(P1), ident)
        assert refused.value.code == "registry-not-found"
    assert (await registries.show(ADMIN, "theirs")).uuid == theirs.uuid


async def test_names_may_repeat_but_then_the_uuid_must_be_used(registries: RegistryService) -> None:
    first = await registries.create(context(), name="twice", domain="a.example")
    await registries.create(context(), name="twice", domain="b.example")
    with pytest.raises(Conflict, match="2 registries are named twice"):
        await registries.show(context(), "twice")
    assert (await registries.show(context(), first.uuid.upper())).uuid == first.uuid


async def test_an_update_changes_what_is_given_and_nothing_else(registries: RegistryService) -> None:
    made = await registries.create(context(), name="mine", domain="a.example", username="joe", password="old")
    changed = await registries.update(context(), "mine", RegistryChanges(domain="b.example", password="new"))
    assert (changed.name, changed.domain, changed.username) == ("mine", "b.example", "joe")
    assert changed.password is not None
    assert MASTER.decrypt(changed.password) == b"new"
    bare = await registries.update(context(), made.uuid, RegistryChanges(username=None, password=None))
    assert (bare.username, bare.password) == (None, None)
    assert (await registries.update(context(), made.uuid, RegistryChanges())).domain == "b.example"


async def test_a_registry_that_a_container_came_from_stays(registries: RegistryService, empty_world: World) -> None:
    made = await registries.create(context(P1), name="mine", domain="a.example")
    wished = record(P1, registry_id=made.uuid)
    await empty_world.wish(wished)
    with pytest.raises(Conflict, match=wished.uuid):
        await registries.delete(context(P1), "mine")
    await empty_world.reaped(wished.uuid)
    await registries.delete(context(P1), "mine")
    assert await registries.list(context(P1)) == []


async def test_a_reader_looks_but_changes_nothing(registries: RegistryService) -> None:
    reader = context(roles=("reader",))
    await registries.create(context(), name="mine", domain="a.example")
    assert (await registries.show(reader, "mine")).name == "mine"
    for refused in (
        registries.create(reader, name="other", domain="b.example"),
        registries.update(reader, "mine", RegistryChanges(name="other")),
        registries.delete(reader, "mine"),
    ):
        with pytest.raises(Denied):
            await refused
