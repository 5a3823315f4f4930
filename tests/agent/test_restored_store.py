# SPDX-License-Identifier: Apache-2.0
"""A store that was put back to an earlier state costs no container: what it forgot is left as it is, and told."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from agent_capsules import WAITS, Capsules, capsule
from agent_records import C1, NODE, inbox, intent, run_intents, uuid_of
from agent_world import World

from support.network_machine import network_attachment
from zun.drivers.network.fake import FakeNetworks
from zun.model.attachments import sandbox_key
from zun.model.errors import Internal
from zun.model.records import NodeInfo, SeenState, Verb
from zun.model.states import Status
from zun.store import codec, keys
from zun.store.backup.file import FORMAT, Header, open_backup
from zun.store.backup.restoring import Restoration
from zun.store.backup.saving import save
from zun.store.interface import Delete, Put, Store
from zun.store.memory import MemoryStore
from zun.store.schema import StoreSchema, claim_schema

C2, C3 = uuid_of(2), uuid_of(3)


@pytest.fixture
async def known(world: World) -> World:
    """A world whose store says which one it is."""
    await claim_schema(world.store, "1")
    return world


FOREVER = ["sleep", "1000000000"]


async def run(world: World, uuid: str = C1, **spec: object) -> None:
    await world.wish(inbox(uuid, *run_intents(), command=FOREVER, **spec))
    await world.until(SeenState.RUNNING, uuid=uuid)


async def back_up(world: World, path: Path) -> Path:
    def header(revision: int, schema: StoreSchema) -> Header:
        return Header(FORMAT, world.clock.now(), "1", "memory", revision, schema.needs, schema.id)

    await save(world.store, path, header)
    return path


async def restore(world: World, path: Path, into: Store, *, force: bool = False) -> None:
    with open_backup(path) as backup:
        await Restoration(into, world.clock, "1").run(backup, force=force)
    world.store = into


async def told(world: World) -> NodeInfo:
    found = await world.store.get(keys.node_info(NODE))
    assert found is not None
    return codec.decode(NodeInfo, found.value)


async def ends(world: World) -> BaseException:
    """Wait until the agent ends by itself."""
    assert world.task is not None
    await asyncio.wait([world.task], timeout=120)
    task, world.task = world.task, None
    assert task.done()
    found = task.exception()
    assert found is not None
    return found


async def test_what_was_made_after_the_backup_runs_on_is_told_and_stays_so(known: World, tmp_path: Path) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    await run(known, C2)
    await run(known, C3, auto_heal=True)
    await known.stop()
    first, second, third = (known.only(uuid).handle for uuid in (C1, C2, C3))

    await restore(known, path, MemoryStore(known.clock))
    await known.start()
    await known.settle(600)
    assert {handle for handle, made in known.engine.containers.items() if made.lives} == {first, second, third}
    assert (await told(known)).strays == 2
    assert (await told(known)).named_strays == [C2, C3]

    await known.restart()
    await known.settle(600)
    assert known.only(C2).lives
    assert (await told(known)).named_strays == [C2, C3]

    known.engine.vanish(second)
    await known.settle(600)
    assert (await told(known)).named_strays == [C3]


async def test_a_capsule_that_was_made_after_the_backup_runs_on_with_its_sandbox(known: World, tmp_path: Path) -> None:
    await known.start()
    await run(known, C2)
    path = await back_up(known, tmp_path / "backup")
    capsules = Capsules(known)
    await capsules.wish(capsule(WAITS, WAITS))
    await capsules.becomes(Status.RUNNING)
    await known.stop()
    sandbox = capsules.sandbox()

    await restore(known, path, MemoryStore(known.clock))
    for _ in range(2):
        await known.start()
        await known.settle(600)
        assert capsules.sandbox() == sandbox
        assert [made.lives for made in capsules.objects()] == [True, True]
        assert (await told(known)).named_strays == [C1]
        await known.stop()


async def test_a_container_that_the_backup_knows_goes_on_as_it_is(known: World, tmp_path: Path) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    await known.ask(intent(3, Verb.PAUSE))
    await known.until(SeenState.PAUSED)
    await known.ask(intent(4, Verb.UNPAUSE))
    await known.until(SeenState.RUNNING)
    await known.stop()

    await restore(known, path, MemoryStore(known.clock))
    await known.start()
    assert (await known.until(SeenState.RUNNING)).intent_done == 2
    await known.settle(100)
    assert (known.calls("pause"), known.calls("unpause"), known.calls("create")) == (1, 1, 1)

    await known.ask(intent(3, Verb.STOP))  # a number that was used before, for something else
    await known.until(SeenState.EXITED, intent_done=3)
    await known.ask(intent(4, Verb.DELETE, force=True))
    await known.done("req-4")
    assert known.objects() == []


async def test_what_the_backup_was_still_waiting_for_is_not_done_twice(known: World, tmp_path: Path) -> None:
    await known.start()
    await run(known)
    await known.stop()
    await known.wish(inbox(C1, *run_intents(), intent(3, Verb.KILL, signal="SIGHUP")))
    path = await back_up(known, tmp_path / "backup")
    await known.start()
    await known.done("req-3")
    await known.stop()

    await restore(known, path, MemoryStore(known.clock))
    await known.start()
    await known.settle(100)
    assert known.calls("kill") == 1
    assert (await known.until(SeenState.EXITED)).intent_done == 3


async def test_what_was_deleted_since_the_backup_shows_that_it_is_gone(known: World, tmp_path: Path) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    await known.ask(intent(3, Verb.DELETE, force=True))
    await known.done("req-3")
    await known.unwish()
    await known.forgotten()
    await known.stop()

    await restore(known, path, MemoryStore(known.clock))
    await known.start()
    await known.until(SeenState.MISSING)
    await known.ask(intent(3, Verb.DELETE))
    await known.done("req-3")


async def test_an_agent_that_works_while_its_store_is_replaced_removes_nothing_and_begins_anew(
    known: World, tmp_path: Path
) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    await run(known, C2)
    await restore(known, path, known.store, force=True)
    found = await ends(known)
    assert isinstance(found, ExceptionGroup)
    assert found.subgroup(Internal) is not None
    assert "start the agent again" in str(found.subgroup(Internal).exceptions[0])  # type: ignore[union-attr]
    assert known.only(C1).lives
    assert known.only(C2).lives
    await known.start()
    await known.settle(600)
    assert known.only(C2).lives
    assert (await told(known)).named_strays == [C2]


async def test_a_store_that_went_back_in_time_without_saying_so_is_noticed_by_its_revision(
    known: World, tmp_path: Path
) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    await run(known, C2)
    await known.settle(100)
    await known.stop()
    schema = await known.store.get(keys.SCHEMA)
    assert schema is not None
    await restore(known, path, MemoryStore(known.clock))
    await known.store.transact([], [Put(keys.SCHEMA, schema.value)])  # as etcd's own restore leaves it
    await known.start()
    await known.settle(600)
    assert known.only(C2).lives
    assert (await told(known)).named_strays == [C2]


async def test_a_copy_of_everything_that_is_put_back_costs_no_container_that_is_newer(
    known: World, tmp_path: Path
) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    revision = await known.store.revision()
    await known.stop()
    copies = {file: file.read_bytes() for file in known.state_dir.iterdir() if file.is_file() and file != path}
    journal = {file: file.read_bytes() for file in (known.state_dir / "journal").rglob("*") if file.is_file()}
    await known.start()
    await known.settle(3600)
    await run(known, C2)
    await known.stop()
    for file in (known.state_dir / "journal").rglob("*"):
        if file.is_file():
            file.unlink()
    for file, content in (copies | journal).items():
        file.write_bytes(content)
    before = await known.store.get(keys.SCHEMA)
    assert before is not None
    into = MemoryStore(known.clock)
    while await into.revision() < revision:
        await into.transact([], [Put("/elsewhere", b"")])
    await restore(known, path, into)
    await into.transact([], [Put(keys.SCHEMA, before.value)])
    await known.start()
    await known.settle(600)
    assert known.only(C1).lives
    assert known.only(C2).lives
    assert (await told(known)).named_strays == [C2]


async def test_what_leaves_the_inbox_of_the_same_store_is_still_removed(known: World) -> None:
    await known.start()
    await run(known)
    await known.unwish()
    await known.forgotten()
    await known.restart()
    await run(known, C2)
    await known.stop()
    await known.store.transact([], [Delete(keys.inbox(NODE, C2))])
    await known.start()
    await known.forgotten(C2)


async def test_a_move_that_the_store_forgot_leaves_the_newer_object_alone(known: World, tmp_path: Path) -> None:
    await known.start()
    await run(known)
    path = await back_up(known, tmp_path / "backup")
    await known.wish(inbox(C1, *run_intents(), command=FOREVER, generation=3))
    await known.until(SeenState.RUNNING, generation=3)
    newer = known.only().handle
    await known.stop()
    await restore(known, path, MemoryStore(known.clock))
    await known.start()
    await known.settle(600)
    assert known.engine.containers[newer].lives
    assert (await told(known)).named_strays == [C1]
    seen = await known.seen()
    assert seen is not None
    assert seen.generation == 1


async def test_a_damaged_memory_of_the_store_is_named(known: World) -> None:
    (known.state_dir / "store.json").write_text("{")
    with pytest.raises(Internal, match=r"store\.json is damaged"):
        known.make_agent()


async def test_what_the_store_forgot_keeps_its_networks_until_it_is_removed(known: World, tmp_path: Path) -> None:
    networks = known.networks = FakeNetworks()
    await known.start()
    path = await back_up(known, tmp_path / "backup")
    wanted = inbox(C1, *run_intents(), command=FOREVER)
    await known.wish(msgspec.structs.replace(wanted, attachments=[network_attachment(1, 1)]))
    await known.until(SeenState.RUNNING)
    assert set(networks.sandboxes) == {sandbox_key(C1, 1)}
    await known.stop()
    await restore(known, path, MemoryStore(known.clock))
    await known.start()
    await known.settle(600)
    assert known.only(C1).lives
    assert set(networks.sandboxes) == {sandbox_key(C1, 1)}
    known.engine.vanish(known.only(C1).handle)
    await known.settle(600)
    assert networks.sandboxes == {}
