# SPDX-License-Identifier: Apache-2.0
"""`zund backup` and `zund restore`: picks the store, and what is said about the keys beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from zun import __version__
from zun.base.clock import SystemClock
from zun.base.timestamps import iso
from zun.config import Settings
from zun.model.errors import Invalid
from zun.store.backup.file import FORMAT, Header, open_backup
from zun.store.backup.restoring import Restoration
from zun.store.backup.saving import Readable, save
from zun.store.schema import StoreSchema
from zun.wiring.basis import master_key, prepare
from zun.wiring.stores import open_store, reader_agrees, restorer_agrees


async def back_up(settings: Settings, path: Path) -> str:
    """Write a backup; returns what to say about it. Raises `ZunError`."""
    clock = SystemClock()

    def header(revision: int, schema: StoreSchema) -> Header:
        return Header(
            format=FORMAT,
            made_at=clock.now(),
            by=__version__,
            driver=settings.store.driver,
            revision=revision,
            needs=schema.needs,
            store_id=schema.id,
            master_key=_key_of(settings),
        )

    async with _readable(settings) as store:
        records, revision = await save(store, path, header)
    return f"{path} holds {records} records as of revision {revision}. Keep it as private as master.key, and apart from it."


async def restore(settings: Settings, path: Path, *, force: bool) -> str:
    """Put a backup into the configured store; returns what to say about it. Raises `ZunError`."""
    _refuse_memory(settings)
    with open_backup(path) as backup:
        prepare(settings.state_dir)
        async with open_store(settings, SystemClock(), agree=restorer_agrees, patient=False) as store:
            done = await Restoration(store, SystemClock(), __version__).run(backup, force=force)
        made = iso(backup.header.made_at)
        said = f"The store holds what it held on {made}: {done.records} records"
        said += f"; {done.removed} others were removed." if done.removed else "."
        return f"{said}\n{_about_key(settings, backup.header)}".rstrip()


@asynccontextmanager
async def _readable(settings: Settings) -> AsyncIterator[Readable]:
    _refuse_memory(settings)
    if settings.store.driver == "etcd":
        async with open_store(settings, SystemClock(), agree=reader_agrees, patient=False) as store:
            yield store
        return
    from zun.store.sqlite_snapshot import SqliteSnapshot  # noqa: PLC0415

    snapshot = await SqliteSnapshot.open(settings.state_dir / "state.db")
    try:
        yield snapshot
    finally:
        await snapshot.close()


def _refuse_memory(settings: Settings) -> None:
    if settings.store.driver == "memory":
        raise Invalid(
            "[store] driver = memory: what is in it lies in one process and ends with it; there is nothing to back up or restore."
        )


def _key_of(settings: Settings) -> str:
    """Which master key this machine has; "" for none."""
    if not (settings.state_dir / "master.key").exists():
        return ""
    return master_key(settings.state_dir).fingerprint


def _about_key(settings: Settings, header: Header) -> str:
    if not header.master_key or header.master_key == _key_of(settings):
        return ""
    return (
        f"{settings.state_dir / 'master.key'} is not the key that its secrets are encrypted with. Copy that key there before API servers and "
        "controllers start, or else registry passwords, and files of containers that wait for a node, have to be given again."
    )
