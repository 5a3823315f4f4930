# SPDX-License-Identifier: Apache-2.0
"""What every store must do, as tests: so that nobody guesses what etcd does, a real etcd runs them too.

To hold a store to it, derive a test class from `StoreContract` where these fixtures exist: `store` (open and closed by
the fixture), `root` (a prefix no other test uses), `pass_time` (lets time pass for the store's leases).
Tests never assume that the store is empty or at its first revision.
"""

import pytest

from zun.model.errors import Unavailable
from zun.store.contract_keys import RangeContract, TransactionContract
from zun.store.contract_leases import LeaseContract
from zun.store.contract_watches import WatchContract
from zun.store.interface import Put, Store


class StoreContract(TransactionContract, RangeContract, WatchContract, LeaseContract):
    """The whole contract."""

    async def test_a_closed_store_is_unavailable(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        async with store.watch(root, from_revision=start) as changes:
            await store.close()
            with pytest.raises(Unavailable):
                await anext(changes)
        for call in (store.revision, lambda: store.get("k"), lambda: store.range(""), lambda: store.grant_lease(5)):
            with pytest.raises(Unavailable):
                await call()
        with pytest.raises(Unavailable):
            await store.transact([], [Put(root + "a", b"")])
        with pytest.raises(Unavailable):
            async with store.watch(root, from_revision=start):
                pass
        await store.close()
