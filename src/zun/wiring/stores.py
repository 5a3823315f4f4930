# SPDX-License-Identifier: Apache-2.0
"""Picks the store. Drivers are imported when they are chosen: grpc alone weighs 9 MB."""

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from zun import __version__
from zun.base.clock import Clock
from zun.config import Settings, StoreOptions
from zun.model.errors import Invalid
from zun.store import keys
from zun.store.interface import DeletePrefix, Store
from zun.store.measured import MeasuredStore
from zun.store.schema import check_schema, claim_schema
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.metrics import WATCH_RECONNECTS
from zun.wiring.reaching import reached
from zun.wiring.service_manager import ServiceManager

Agree = Callable[[Store], Awaitable[None]]
"""Whether this process may work on a store; raises when it may not."""


def require_shared_store(settings: Settings, role: str) -> None:
    """A role that is one of several processes needs a store that serves several. Raises `Invalid`."""
    if settings.store.driver != "etcd":
        raise Invalid(
            f"`zund {role}` shares its records with other processes, and [store] driver = {settings.store.driver} serves one process alone. "
            "Set driver = etcd and the endpoint, or run everything in one process: `zund all`."
        )


def is_plain(options: StoreOptions) -> bool:
    """Whether the store is an etcd without encryption and credentials: whoever reaches it may write everything."""
    return options.driver == "etcd"


async def control_plane_agrees(store: Store) -> None:
    """The store's records are such as this version understands; a new store learns what it needs. Raises `Unsupported`."""
    await claim_schema(store, __version__)


async def node_agrees(store: Store) -> None:
    """The same for a process that may not write what is the control plane's."""
    await check_schema(store, __version__)


@asynccontextmanager
async def open_store(
    settings: Settings, clock: Clock, *, agree: Agree = control_plane_agrees, meter: Meter = NO_METER
) -> AsyncIterator[Store]:
    """The store, closed at the end; an etcd that does not answer yet is waited for.

    Raises `Invalid` for a plain etcd beyond this machine, `Unsupported` for a store of a newer version, `Unavailable` when an
    embedded store cannot be had.
    """
    store: Store
    if settings.store.driver == "etcd":
        _refuse_plain_beyond_loopback(settings.store)
        store = await reached(
            settings.store.endpoint,
            lambda: _connected(settings.store, clock, agree, meter),
            clock,
            waits=ServiceManager.of_this_process().waits,
        )
    elif settings.store.driver == "memory":
        from zun.store.memory import MemoryStore  # noqa: PLC0415

        store = MemoryStore(clock)
    else:
        from zun.store.sqlite import SqliteStore  # noqa: PLC0415

        store = await SqliteStore.open(settings.state_dir / "state.db", clock)
        # The file lock says that no other process leads; a predecessor that was killed need not be waited for.
        await store.transact([], [DeletePrefix(keys.LEADERS)])
    try:
        if settings.store.driver != "etcd":
            await agree(store)
        yield store if meter is NO_METER else MeasuredStore(store, meter)
    finally:
        await store.close()


async def _connected(options: StoreOptions, clock: Clock, agree: Agree, meter: Meter) -> Store:
    from zun.store.etcd.store import EtcdStore  # noqa: PLC0415

    store = await EtcdStore.connect(options.endpoint, clock, reconnected=lambda: meter.count(WATCH_RECONNECTS))
    try:
        await agree(store)
    except BaseException:
        await store.close()
        raise
    return store


def _refuse_plain_beyond_loopback(options: StoreOptions) -> None:
    host = options.endpoint.rpartition(":")[0].strip("[]")
    if is_plain(options) and not _is_loopback(host):
        raise Invalid(
            f"[store] endpoint = {options.endpoint}: an etcd without encryption is used on this machine's loopback only, "
            "since whoever reaches it owns everything."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
