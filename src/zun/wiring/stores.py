# SPDX-License-Identifier: Apache-2.0
"""Picks the store. Drivers are imported when they are chosen: grpc alone weighs 9 MB."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.base.clock import Clock
from zun.config import Settings, StoreOptions
from zun.model.errors import Invalid
from zun.store import keys
from zun.store.interface import DeletePrefix, Store


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


@asynccontextmanager
async def open_store(settings: Settings, clock: Clock) -> AsyncIterator[Store]:
    """The store, closed at the end. Raises `Invalid` for a plain etcd beyond this machine, `Unavailable` and `Timeout`."""
    store: Store
    if settings.store.driver == "etcd":
        _refuse_plain_beyond_loopback(settings.store)
        from zun.store.etcd.store import EtcdStore  # noqa: PLC0415

        store = await EtcdStore.connect(settings.store.endpoint, clock)
    elif settings.store.driver == "memory":
        from zun.store.memory import MemoryStore  # noqa: PLC0415

        store = MemoryStore(clock)
    else:
        from zun.store.sqlite import SqliteStore  # noqa: PLC0415

        store = await SqliteStore.open(settings.state_dir / "state.db", clock)
        # The file lock says that no other process leads; a predecessor that was killed need not be waited for.
        await store.transact([], [DeletePrefix(keys.LEADERS)])
    try:
        yield store
    finally:
        await store.close()


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
