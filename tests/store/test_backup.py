# SPDX-License-Identifier: Apache-2.0
"""A backup holds what is for good at one instant, and goes into a store of any kind; what is wrong is refused before anything is touched."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from support.etcd_server import EtcdServer
from zun.base.clock import ManualClock, SystemClock
from zun.model.errors import Conflict, Invalid, NotFound, Precondition, Unavailable, Unsupported
from zun.store import keys
from zun.store.backup.file import FORMAT, Header, Record, new_backup, open_backup
from zun.store.backup.restoring import Restoration, Restored
from zun.store.backup.saving import Readable, everything, save
from zun.store.interface import Put, RangeResult, Store
from zun.store.memory import MemoryStore
from zun.store.options import StoreOptions
from zun.store.schema import UNDERSTOOD, StoreSchema, check_schema, claim_schema
from zun.store.sqlite import SqliteStore
from zun.store.sqlite_snapshot import SqliteSnapshot

MakeStore = Callable[[str], Awaitable[Store]]
KINDS = ["memory", "sqlite", pytest.param("etcd", marks=pytest.mark.etcd)]


@pytest.fixture
async def make_store(tmp_path: Path) -> AsyncIterator[MakeStore]:
    """Makes empty stores of a kind; all are closed at the end."""
    made: list[Store] = []
    servers: list[EtcdServer] = []

    async def make(kind: str) -> Store:
        place = tmp_path / f"store-{len(made)}"
        place.mkdir()
        if kind == "memory":
            made.append(MemoryStore(ManualClock()))
        elif kind == "sqlite":
            made.append(await SqliteStore.open(place / "state.db", ManualClock()))
        else:
            from zun.store.etcd.store import EtcdStore

            servers.append(EtcdServer(place))
            await asyncio.to_thread(servers[-1].start)
            options = StoreOptions(driver="etcd", endpoints=(servers[-1].endpoint,))
            made.append(await EtcdStore.connect(options, SystemClock()))
        return made[-1]

    yield make
    for store in made:
        await store.close()
    for server in servers:
        server.kill()


def header(revision: int, schema: StoreSchema) -> Header:
    """As the command writes it."""
    return Header(FORMAT, 1000.0, "1.2", "memory", revision, schema.needs, schema.id)


async def filled(store: Store, keys_count: int = 1200) -> dict[str, bytes]:
    """Has an installation's worth of keys written; what they are."""
    await claim_schema(store, "1.2")
    content = {f"{keys.CONTAINERS}{number:05}": f'{{"n":{number}}}'.encode() for number in range(keys_count)}
    content[keys.blob("n1", "u", 0)] = os.urandom(200_000)
    content[keys.stage("u", 0)] = bytes(range(256)) * 1000
    content[keys.inbox("n1", "é-\U0010ffff")] = b"{}"
    for key, value in content.items():
        await store.transact([], [Put(key, value)])
    return content


async def held(store: Readable) -> dict[str, bytes]:
    """All of a store but what it says of itself."""
    return {kv.key: kv.value async for kv in everything(store) if kv.key != keys.SCHEMA}


def names_in(directory: Path) -> list[str]:
    """The files there that have to do with backups."""
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("store-"))


async def restore(store: Store, path: Path, *, force: bool = False) -> Restored:
    with open_backup(path) as backup:
        return await Restoration(store, SystemClock(), "1.3").run(backup, force=force)


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("out_of", KINDS)
async def test_what_one_store_held_another_of_any_kind_holds(
    out_of: str, into: str, make_store: MakeStore, tmp_path: Path
) -> None:
    first, second, path = await make_store(out_of), await make_store(into), tmp_path / "backup"
    content = await filled(first)
    records, revision = await save(first, path, header)
    assert (records, revision) == (len(content), await first.revision())
    assert await restore(second, path) == Restored(len(content), 0)
    assert await held(second) == content


async def test_a_restored_store_is_another_store(make_store: MakeStore, tmp_path: Path) -> None:
    first, second, path = await make_store("memory"), await make_store("memory"), tmp_path / "backup"
    await filled(first, 3)
    await save(first, path, header)
    await restore(second, path)
    before, after = await check_schema(first, "1.2"), await check_schema(second, "1.2")
    assert before is not None
    assert after is not None
    assert before.id
    assert after.id
    assert before.id != after.id
    assert (after.needs, after.by) == (UNDERSTOOD, "1.3")


async def test_what_belongs_to_a_lease_is_left_out(make_store: MakeStore, tmp_path: Path) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    lease = await store.grant_lease(60)
    await store.transact([], [Put(keys.leader("x"), b"me", lease), Put(keys.node("n1"), b"{}")])
    await save(store, path, header)
    with open_backup(path) as backup:
        assert list(backup.records()) == [Record(keys.node("n1"), b"{}")]


async def test_a_backup_is_of_one_instant_though_others_write(make_store: MakeStore, tmp_path: Path) -> None:
    store, path = await make_store("sqlite"), tmp_path / "backup"
    content = await filled(store)

    class WrittenMeanwhile:
        """A store to which somebody writes between any two pages."""

        revision = store.revision

        async def range(
            self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
        ) -> RangeResult:
            await store.transact([], [Put(keys.CONTAINERS + "01000", b"later"), Put(keys.CONTAINERS + "zz", b"new")])
            return await store.range(
                prefix, start_after=start_after, limit=limit, revision=revision, keys_only=keys_only
            )

    await save(WrittenMeanwhile(), path, header)
    with open_backup(path) as backup:
        assert {record.key: record.value for record in backup.records()} == content


async def test_a_store_that_forgets_meanwhile_is_read_anew(make_store: MakeStore, tmp_path: Path) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    content = await filled(store)
    forgets = iter([True, False, True])

    class Forgetful:
        """A store that is compacted while it is read, once."""

        revision = store.revision

        async def range(
            self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
        ) -> RangeResult:
            if start_after and next(forgets, False):
                await store.transact([], [Put(keys.CONTAINERS + "00000", content[keys.CONTAINERS + "00000"])])
                await store.compact(await store.revision())
            return await store.range(
                prefix, start_after=start_after, limit=limit, revision=revision, keys_only=keys_only
            )

    await save(Forgetful(), path, header)
    with open_backup(path) as backup:
        assert {record.key: record.value for record in backup.records()} == content
    assert names_in(tmp_path) == ["backup"]


async def test_the_file_is_private_and_never_replaces_another(make_store: MakeStore, tmp_path: Path) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    await filled(store, 1)
    await save(store, path, header)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(Conflict, match="exists already"):
        await save(store, path, header)
    assert path.read_bytes() == before


async def test_a_file_that_cannot_be_written_leaves_nothing_behind(make_store: MakeStore, tmp_path: Path) -> None:
    store = await make_store("memory")
    with pytest.raises(Unavailable, match=r"cannot be written \(No such file or directory\)"):
        await save(store, tmp_path / "nowhere" / "backup", header)
    full = tmp_path / "link"
    full.symlink_to("/dev/full")
    with pytest.raises(Conflict):
        await save(store, full, header)


async def test_a_store_in_use_is_not_restored_into_without_force(make_store: MakeStore, tmp_path: Path) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    content = await filled(store, 400)
    await save(store, path, header)
    await store.transact([], [Put(keys.CONTAINERS + "00001", b"changed"), Put(keys.CONTAINERS + "zz", b"later")])
    revision = await store.revision()
    with pytest.raises(Conflict, match=r"not empty.*--force"):
        await restore(store, path)
    assert await store.revision() == revision
    assert await restore(store, path, force=True) == Restored(len(content), 1)
    assert await held(store) == content


async def test_a_store_that_only_a_start_has_touched_counts_as_empty(make_store: MakeStore, tmp_path: Path) -> None:
    first, second, path = await make_store("memory"), await make_store("memory"), tmp_path / "backup"
    content = await filled(first, 1)
    await save(first, path, header)
    await claim_schema(second, "1.3")
    await restore(second, path)
    assert await held(second) == content


@pytest.mark.parametrize("key", [keys.leader("controller"), keys.process("api", "host:1")])
async def test_while_the_control_plane_works_nothing_is_restored_even_with_force(
    key: str, make_store: MakeStore, tmp_path: Path
) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    await filled(store, 1)
    await save(store, path, header)
    await store.transact([], [Put(key, b"me", await store.grant_lease(60))])
    revision = await store.revision()
    with pytest.raises(Conflict, match=f"{key.removeprefix(keys.VIEW)}.*stop API servers, controllers and gates"):
        await restore(store, path, force=True)
    assert await store.revision() == revision


def damage_a_byte(raw: bytes) -> bytes:
    content = bytearray(gzip.decompress(raw))
    content[len(content) // 2] ^= 1
    return gzip.compress(bytes(content))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "something else": lambda _: b"SQLite format 3\x00",
    "compressed, but something else": lambda _: gzip.compress(b'{"is": "somebody"}\n'),
    "cut short": lambda raw: raw[: len(raw) // 2],
    "a bit turned on disk": lambda raw: raw[:400] + bytes([raw[400] ^ 4]) + raw[401:],
    "a bit turned before it was packed": damage_a_byte,
    "without its end": lambda raw: gzip.compress(b"".join(gzip.decompress(raw).splitlines(keepends=True)[:-1])),
    "a record less": lambda raw: gzip.compress(
        b"".join(line for number, line in enumerate(gzip.decompress(raw).splitlines(keepends=True)) if number != 3)
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_damaged_file_is_refused_before_anything_is_touched(
    what: str, make_store: MakeStore, tmp_path: Path
) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    await filled(store, 50)
    await save(store, path, header)
    path.write_bytes(DAMAGES[what](path.read_bytes()))
    revision = await store.revision()
    with pytest.raises(Invalid, match="is damaged or no backup of Zun"):
        await restore(store, path, force=True)
    assert await store.revision() == revision


async def test_a_file_that_is_not_there_is_said_to_be(make_store: MakeStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No such file"):
        await restore(await make_store("memory"), tmp_path / "nothing")


@pytest.mark.parametrize(
    "newer",
    [
        Header(FORMAT + 1, 0.0, "9.0", "etcd", 1, UNDERSTOOD),
        Header(FORMAT, 0.0, "9.0", "etcd", 1, UNDERSTOOD + 1),
    ],
)
async def test_a_newer_file_is_refused_before_anything_is_touched(
    newer: Header, make_store: MakeStore, tmp_path: Path
) -> None:
    store, path = await make_store("memory"), tmp_path / "backup"
    with new_backup(path) as out:
        out.begin(newer)
        out.end()
    with pytest.raises(Unsupported, match=r"Zun \(?9\.0.*Upgrade Zun on this machine"):
        await restore(store, path)
    assert await store.revision() == 1


class BreaksOff:
    """A store that goes away for good after some writes."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store = store
        self._left = writes
        self.get, self.range = store.get, store.range

    async def transact(self, *arguments: object) -> object:
        if not self._left:
            raise Unavailable("It is away.")
        self._left -= 1
        return await self._store.transact(*arguments)  # type: ignore[arg-type]


async def test_nobody_works_on_a_store_that_is_half_restored_and_it_is_begun_anew_with_force(
    make_store: MakeStore, tmp_path: Path
) -> None:
    first, second, path = await make_store("memory"), await make_store("memory"), tmp_path / "backup"
    content = await filled(first, 400)
    await save(first, path, header)
    clock = ManualClock()
    with open_backup(path) as backup:
        broken = asyncio.ensure_future(
            Restoration(BreaksOff(second, 3), clock, "1.3").run(backup, force=False)  # type: ignore[arg-type]
        )
        while not broken.done():
            await asyncio.sleep(0)
            clock.advance(1)
    with pytest.raises(Unavailable, match="not whole now"):
        broken.result()
    for works in (check_schema, claim_schema):
        with pytest.raises(Unavailable, match="not whole yet"):
            await works(second, "1.3")
    with pytest.raises(Conflict, match="not empty"):
        await restore(second, path)
    await restore(second, path, force=True)
    assert await held(second) == content


async def test_of_two_who_restore_at_once_one_is_told_to_stop(make_store: MakeStore, tmp_path: Path) -> None:
    first, second, path = await make_store("memory"), await make_store("sqlite"), tmp_path / "backup"
    content = await filled(first, 600)
    await save(first, path, header)
    with open_backup(path) as one, open_backup(path) as other:
        both = [Restoration(second, SystemClock(), "1.3").run(each, force=True) for each in (one, other)]
        ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(end) for end in ends if isinstance(end, Exception)) == [Precondition]
    assert await held(second) == content


async def test_the_embedded_store_is_backed_up_beside_the_process_that_works_on_it(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state.db", ManualClock())
    content = await filled(store)
    beside = await SqliteSnapshot.open(tmp_path / "state.db")
    await store.transact([], [Put(keys.CONTAINERS + "zz", b"later")])
    records, _ = await save(beside, tmp_path / "one", header)
    assert records == len(content) + 1
    await store.close()
    records, _ = await save(beside, tmp_path / "two", header)
    assert records == len(content) + 1
    await beside.close()
    alone = await SqliteSnapshot.open(tmp_path / "state.db")
    records, _ = await save(alone, tmp_path / "three", header)
    assert records == len(content) + 1
    await alone.close()


async def test_where_there_is_no_store_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--state-dir"):
        await SqliteSnapshot.open(tmp_path / "state.db")
    assert names_in(tmp_path) == []
