# SPDX-License-Identifier: Apache-2.0
"""A write that etcd refuses for want of space is in doubt while the alarm is being raised, and surely not done after that."""

from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode

from support.fake_etcd import FakeMember, fake_member
from zun.base.clock import ManualClock
from zun.model.errors import Timeout, Unavailable
from zun.store.etcd.space import REMEMBERED_SECONDS, SETTLED_SECONDS
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Delete, Put
from zun.store.options import StoreOptions

NO_SPACE = (StatusCode.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
WHAT_TO_DO = "compact, defragment every member.*disarm the alarm"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def member() -> AsyncIterator[FakeMember]:
    async with fake_member() as member:
        yield member


@pytest.fixture
async def store(member: FakeMember, clock: ManualClock) -> AsyncIterator[EtcdStore]:
    store = await EtcdStore.connect(StoreOptions("etcd", (member.endpoint,)), clock)
    member.asked.clear()
    yield store
    await store.close()


async def write(store: EtcdStore) -> None:
    await store.transact([], [Put("/a", b"")])


async def refused(store: EtcdStore, member: FakeMember) -> None:
    """Write while etcd has no space."""
    member.says.append(NO_SPACE)
    await write(store)


async def make_full(store: EtcdStore, member: FakeMember, clock: ManualClock) -> None:
    """Let it be full for so long that refusals are certain."""
    with pytest.raises(Timeout):
        await refused(store, member)
    clock.advance(SETTLED_SECONDS)
    with pytest.raises(Unavailable):
        await refused(store, member)


async def test_the_first_write_without_space_may_have_happened_and_is_not_made_again(
    store: EtcdStore, member: FakeMember, clock: ManualClock
) -> None:
    with pytest.raises(Timeout, match=f"may or may not have happened.*{WHAT_TO_DO}"):
        await refused(store, member)
    clock.advance(SETTLED_SECONDS * 0.9)
    with pytest.raises(Timeout):
        await refused(store, member)
    assert member.asked == ["txn", "txn"]


async def test_later_writes_without_space_did_not_happen(
    store: EtcdStore, member: FakeMember, clock: ManualClock
) -> None:
    await make_full(store, member, clock)
    with pytest.raises(Unavailable, match=f"takes no writes.*{WHAT_TO_DO}"):
        await refused(store, member)


async def test_a_write_sent_before_etcd_was_full_is_in_doubt_however_late_it_is_answered(
    store: EtcdStore, member: FakeMember, clock: ManualClock
) -> None:
    with pytest.raises(Timeout):
        await refused(store, member)
    member.before_answering.append(lambda: clock.advance(SETTLED_SECONDS * 2))
    with pytest.raises(Timeout):
        await refused(store, member)


async def test_after_a_write_that_was_taken_the_next_refusal_is_in_doubt_again(
    store: EtcdStore, member: FakeMember, clock: ManualClock
) -> None:
    await make_full(store, member, clock)
    await write(store)
    with pytest.raises(Timeout):
        await refused(store, member)


async def test_a_deletion_needs_no_space_and_tells_nothing_of_it(
    store: EtcdStore, member: FakeMember, clock: ManualClock
) -> None:
    await make_full(store, member, clock)
    await store.transact([], [Delete("/a")])
    with pytest.raises(Unavailable):
        await refused(store, member)


async def test_a_refusal_long_after_the_last_one_is_in_doubt_again(
    store: EtcdStore, member: FakeMember, clock: ManualClock
) -> None:
    await make_full(store, member, clock)
    clock.advance(REMEMBERED_SECONDS)
    with pytest.raises(Unavailable):
        await refused(store, member)
    clock.advance(REMEMBERED_SECONDS + 1)
    with pytest.raises(Timeout):
        await refused(store, member)
