# SPDX-License-Identifier: Apache-2.0
"""The contract of a store, part three: leases. See `zun.store.contract`."""
# ruff: noqa: S101

from collections.abc import Awaitable, Callable

import pytest

from zun.model.errors import Invalid, NotFound
from zun.store.contract_keys import keys_of, put
from zun.store.contract_watches import until
from zun.store.interface import Delete, Put, Store, absent

PassTime = Callable[[float], Awaitable[None]]
NEVER_GRANTED = 4_711
TTL_SECONDS = 3


class LeaseContract:
    """Leases end on time, and their keys with them."""

    async def test_keys_die_with_their_lease_in_one_transaction(
        self, store: Store, root: str, pass_time: PassTime
    ) -> None:
        lease = await store.grant_lease(TTL_SECONDS)
        for key in ("b", "a", "c"):
            await put(store, root + key, b"", lease)
        before = await put(store, root + "stays")
        async with store.watch(root, from_revision=before + 1) as changes:
            await pass_time(TTL_SECONDS + 1)
            (batch,) = await until(changes, before + 1)
        assert [(event.kv.key, event.deleted) for event in batch.events] == [(root + key, True) for key in "abc"]
        assert await keys_of(store, root) == [root + "stays"]
        with pytest.raises(NotFound):
            await store.keep_alive(lease)

    async def test_a_key_tells_its_lease(self, store: Store, root: str) -> None:
        lease = await store.grant_lease(600)
        assert lease > 0
        await put(store, root + "a", b"", lease)
        found = await store.get(root + "a")
        assert found is not None
        assert found.lease == lease
        await store.revoke(lease)

    async def test_a_lease_that_is_kept_alive_goes_on(self, store: Store, root: str, pass_time: PassTime) -> None:
        lease = await store.grant_lease(TTL_SECONDS)
        await put(store, root + "a", b"", lease)
        for _ in range(3):
            await pass_time(TTL_SECONDS / 2)
            assert await store.keep_alive(lease) >= TTL_SECONDS
        assert await keys_of(store, root) == [root + "a"]
        await store.revoke(lease)

    async def test_a_revoked_lease_takes_its_keys_at_once(self, store: Store, root: str) -> None:
        lease, other = await store.grant_lease(600), await store.grant_lease(600)
        assert lease != other
        await store.transact([], [Put(root + "a", b"", lease), Put(root + "b", b"", other), Put(root + "c", b"")])
        before = await store.revision()
        await store.revoke(lease)
        assert await keys_of(store, root) == [root + "b", root + "c"]
        assert await store.revision() == before + 1
        for call in (store.revoke, store.keep_alive):
            with pytest.raises(NotFound):
                await call(lease)
        await store.revoke(other)

    async def test_a_lease_without_keys_ends_without_a_revision(self, store: Store) -> None:
        before = await store.revision()
        await store.revoke(await store.grant_lease(600))
        assert await store.revision() == before

    async def test_a_write_without_lease_sets_the_key_free(self, store: Store, root: str) -> None:
        lease = await store.grant_lease(600)
        await put(store, root + "a", b"", lease)
        await put(store, root + "a", b"free")
        await store.revoke(lease)
        assert await keys_of(store, root) == [root + "a"]

    async def test_a_write_with_another_lease_moves_the_key(self, store: Store, root: str) -> None:
        first, second = await store.grant_lease(600), await store.grant_lease(600)
        await put(store, root + "a", b"", first)
        await put(store, root + "a", b"", second)
        await store.revoke(first)
        assert await keys_of(store, root) == [root + "a"]
        await store.revoke(second)
        assert await keys_of(store, root) == []

    async def test_a_key_that_was_deleted_and_made_again_is_not_the_leases(self, store: Store, root: str) -> None:
        lease = await store.grant_lease(600)
        await put(store, root + "a", b"", lease)
        await store.transact([], [Delete(root + "a")])
        await put(store, root + "a")
        await store.revoke(lease)
        assert await keys_of(store, root) == [root + "a"]

    async def test_a_write_with_an_unknown_lease_does_nothing(self, store: Store, root: str) -> None:
        before = await store.revision()
        with pytest.raises(NotFound):
            await store.transact([], [Put(root + "a", b""), Put(root + "b", b"", NEVER_GRANTED)])
        assert await store.revision() == before
        assert await keys_of(store, root) == []

    async def test_an_unknown_lease_in_the_branch_not_taken_does_not_matter(self, store: Store, root: str) -> None:
        result = await store.transact(
            [absent(root + "a")], [Put(root + "a", b"")], [Put(root + "a", b"", NEVER_GRANTED)]
        )
        assert result.succeeded

    async def test_an_unknown_lease_is_not_found(self, store: Store) -> None:
        for call in (store.keep_alive, store.revoke):
            with pytest.raises(NotFound):
                await call(NEVER_GRANTED)

    @pytest.mark.parametrize("ttl", [0, -1])
    async def test_a_lease_lives_a_second_at_least(self, store: Store, ttl: int) -> None:
        with pytest.raises(Invalid):
            await store.grant_lease(ttl)
