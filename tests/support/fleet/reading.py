# SPDX-License-Identifier: Apache-2.0
"""What lies in the store of a fleet, read beside everybody."""

import asyncio
from collections.abc import Mapping

from zun.base.clock import SystemClock
from zun.store.etcd.store import EtcdStore
from zun.store.options import StoreOptions


async def connect(endpoint: str) -> EtcdStore:
    """A connection to a plain etcd."""
    return await EtcdStore.connect(StoreOptions(driver="etcd", endpoints=(endpoint,)), SystemClock())


def stored(endpoint: str, prefix: str, *, keys_only: bool = False) -> Mapping[str, bytes]:
    """All keys with that prefix, and their values."""

    async def read() -> Mapping[str, bytes]:
        store = await connect(endpoint)
        try:
            found = await store.range(prefix, keys_only=keys_only)
        finally:
            await store.close()
        return {item.key: item.value for item in found.items}

    return asyncio.run(read())
