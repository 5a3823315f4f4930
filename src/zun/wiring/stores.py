# SPDX-License-Identifier: Apache-2.0
"""Picks the store. Drivers are imported when they are chosen: grpc alone weighs 9 MB."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from zun import __version__
from zun.base.clock import Clock
from zun.config import Settings
from zun.model.errors import Invalid
from zun.store import keys
from zun.store.interface import DeletePrefix, Store
from zun.store.measured import MeasuredStore
from zun.store.options import StoreOptions
from zun.store.retention import Retention
from zun.store.schema import check_schema, claim_schema, known_schema
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.metrics import WATCH_RECONNECTS
from zun.wiring.reaching import reached
from zun.wiring.service_manager import ServiceManager

Agree = Callable[[Store], Awaitable[None]]
"""Whether this process may work on a store; raises when it may not."""

ANY_KEY = "\x00"
"""What is read to learn whether the store answers, by who may read everything."""


def require_shared_store(settings: Settings, role: str) -> None:
    """A role that is one of several processes needs a store that serves several. Raises `Invalid`."""
    if settings.store.driver != "etcd":
        raise Invalid(
            f"`zund {role}` shares its records with other processes, and [store] driver = {settings.store.driver} serves one process alone. "
            "Set driver = etcd and the endpoints, or run everything in one process: `zund all`."
        )


def retention(settings: Settings) -> Retention:
    """The history that is kept."""
    return Retention(settings.store.history_seconds, settings.store.history_revisions)


async def control_plane_agrees(store: Store) -> None:
    """The store's records are such as this version understands; a new store learns what it needs. Raises `Unsupported`."""
    await claim_schema(store, __version__)


async def node_agrees(store: Store) -> None:
    """The same for a process that may not write what is the control plane's; a new store is waited for (`Unavailable`)."""
    await known_schema(store, __version__)


async def reader_agrees(store: Store) -> None:
    """The same for a command that leaves everything as it is."""
    await check_schema(store, __version__)


async def restorer_agrees(_: Store) -> None:
    """Whatever a store says, a backup may be put into it."""


@asynccontextmanager
async def open_store(
    settings: Settings,
    clock: Clock,
    *,
    agree: Agree = control_plane_agrees,
    meter: Meter = NO_METER,
    patient: bool = True,
    readable_key: str = ANY_KEY,
) -> AsyncIterator[Store]:
    """The store, closed at the end; an etcd that does not answer yet is waited for when `patient`. `readable_key`: one that this process may
    read, if it may not read all.

    Raises `Invalid` or `Denied` for an etcd that will not have us however long we wait, `Unsupported` for one that is too old, or a store
    of a newer version, `Unavailable` when an embedded store cannot be had, or one that is not waited for.
    """
    store: Store
    if settings.store.driver == "etcd":

        def connect() -> Awaitable[Store]:
            return _connected(settings.store, clock, agree, meter, readable_key)

        what, waits = f"store {','.join(settings.store.endpoints)}", ServiceManager.of_this_process().waits
        store = await (reached(what, connect, clock, waits=waits) if patient else connect())
    elif settings.store.driver == "memory":
        from zun.store.memory import MemoryStore  # noqa: PLC0415

        store = MemoryStore(clock)
        await claim_schema(store, __version__, store_id="")  # none of them is missed, so none is told from another
    else:
        from zun.store.sqlite import SqliteStore  # noqa: PLC0415

        store = await SqliteStore.open(settings.state_dir / "state.db", clock, retention=retention(settings))
        # The file lock says that no other process works on it; a predecessor that was killed need not be waited for.
        await store.transact([], [DeletePrefix(keys.LEADERS), DeletePrefix(keys.PROCESSES)])
    try:
        if settings.store.driver != "etcd":
            await agree(store)
        yield store if meter is NO_METER else MeasuredStore(store, meter)
    finally:
        await store.close()


async def _connected(options: StoreOptions, clock: Clock, agree: Agree, meter: Meter, readable_key: str) -> Store:
    from zun.store.etcd.store import EtcdStore  # noqa: PLC0415

    store = await EtcdStore.connect(
        options,
        clock,
        readable_key=readable_key,
        wait_seconds=0,
        reconnected=lambda: meter.count(WATCH_RECONNECTS),
    )
    try:
        await agree(store)
    except BaseException:
        await store.close()
        raise
    return store
