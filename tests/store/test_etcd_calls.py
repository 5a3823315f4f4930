# SPDX-License-Identifier: Apache-2.0
"""A write that may have been done is never sent twice; what nobody did is done elsewhere; and every answer of etcd has a meaning."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode

from support.etcd_load import InOrder
from support.fake_etcd import FakeMember, fake_member
from zun.base.clock import SystemClock
from zun.model.errors import Denied, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Put, absent
from zun.store.options import StoreOptions

Said = tuple[StatusCode, str]
LONG_SECONDS = 60.0


@pytest.fixture
async def first() -> AsyncIterator[FakeMember]:
    """The member that is spoken to first."""
    async with fake_member() as member:
        yield member


@pytest.fixture
async def second() -> AsyncIterator[FakeMember]:
    """The other one."""
    async with fake_member() as member:
        yield member


@pytest.fixture
async def store(first: FakeMember, second: FakeMember) -> AsyncIterator[EtcdStore]:
    options = StoreOptions("etcd", (first.endpoint, second.endpoint))
    store = await EtcdStore.connect(options, SystemClock(), rng=InOrder())
    first.asked.clear()
    second.asked.clear()
    yield store
    await store.close()


async def write(store: EtcdStore) -> int:
    async with asyncio.timeout(LONG_SECONDS):
        return (await store.transact([], [Put("/a", b"")])).revision


@pytest.mark.parametrize(
    "said",
    [
        (StatusCode.UNAVAILABLE, "etcdserver: request timed out"),
        (StatusCode.UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"),
        (StatusCode.UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost"),
        (StatusCode.UNAVAILABLE, "etcdserver: server stopped"),
        (StatusCode.UNAVAILABLE, "etcdserver: leader changed"),
        (StatusCode.DEADLINE_EXCEEDED, "context deadline exceeded"),
        (StatusCode.CANCELLED, "context canceled"),
        (StatusCode.UNKNOWN, "context deadline exceeded"),
        (StatusCode.UNKNOWN, "context canceled"),
        (StatusCode.INTERNAL, "Internal error from Core"),
    ],
)
async def test_a_write_in_doubt_is_not_made_again_but_a_read_is(
    store: EtcdStore, first: FakeMember, second: FakeMember, said: Said
) -> None:
    first.says.append(said)
    with pytest.raises(Timeout, match="may or may not have happened"):
        await write(store)
    assert (first.asked, second.asked) == (["txn"], [])
    second.says.append(said)
    assert await store.get("/a") is None
    assert (first.asked, second.asked) == (["txn", "range"], ["range"])


@pytest.mark.parametrize(
    "said",
    [
        (StatusCode.UNAVAILABLE, "etcdserver: no leader"),
        (StatusCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
        (StatusCode.UNAVAILABLE, "etcdserver: rpc not supported for learner"),
    ],
)
async def test_what_a_member_did_not_begin_another_one_does(
    store: EtcdStore, first: FakeMember, second: FakeMember, said: Said
) -> None:
    first.says.append(said)
    await write(store)
    assert (first.asked, second.asked) == (["txn"], ["txn"])


async def test_an_election_passes_unnoticed(store: EtcdStore, first: FakeMember, second: FakeMember) -> None:
    for member in (first, second):
        member.says += [(StatusCode.UNAVAILABLE, "etcdserver: no leader")] * 3
    await write(store)
    assert sorted([len(first.asked), len(second.asked)]) == [3, 4]


async def test_a_write_that_nobody_begins_is_refused_in_the_end(
    store: EtcdStore, first: FakeMember, second: FakeMember
) -> None:
    for member in (first, second):
        member.says += [(StatusCode.UNAVAILABLE, "etcdserver: no leader")] * 1000
    with pytest.raises(Unavailable, match="no leader"):
        await write(store)
    for member in (first, second):
        member.says.clear()
    await write(store)


async def test_a_write_that_met_a_change_of_users_is_made_again_at_once(
    store: EtcdStore, first: FakeMember, second: FakeMember
) -> None:
    first.says += [(StatusCode.INVALID_ARGUMENT, "etcdserver: revision of auth store is old")] * 3
    await write(store)
    assert (first.asked, second.asked) == (["txn"] * 4, [])


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ((StatusCode.PERMISSION_DENIED, "etcdserver: permission denied"), Denied),
        ((StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty"), Denied),
        ((StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token"), Denied),
        ((StatusCode.INVALID_ARGUMENT, "etcdserver: request is too large"), Invalid),
        ((StatusCode.NOT_FOUND, "etcdserver: requested lease not found"), NotFound),
        ((StatusCode.UNIMPLEMENTED, "unknown method"), Unsupported),
        ((StatusCode.DATA_LOSS, "etcdserver: corrupt cluster"), Internal),
    ],
)
async def test_a_final_answer_is_not_asked_for_twice(
    store: EtcdStore, first: FakeMember, second: FakeMember, said: Said, kind: type[ZunError]
) -> None:
    first.says.append(said)
    with pytest.raises(kind):
        await write(store)
    assert (first.asked, second.asked) == (["txn"], [])


async def test_conditions_alone_are_compared_with_the_newest_state(store: EtcdStore, first: FakeMember) -> None:
    result = await store.transact([absent("/a")], [])
    assert (result.succeeded, result.reads) == (True, ())
    for branch in (first.transaction.success, first.transaction.failure):
        (op,) = branch  # without any, a member answers from what it has
        assert op.HasField("request_range")


async def test_a_member_that_goes_away_in_the_middle_leaves_a_write_in_doubt_and_no_read(
    store: EtcdStore, first: FakeMember, second: FakeMember
) -> None:
    first.hangs = True
    writing, reading = asyncio.ensure_future(write(store)), asyncio.ensure_future(store.get("/a"))
    async with asyncio.timeout(LONG_SECONDS):
        while len(first.asked) < 2:  # noqa: ASYNC110 - until both are there
            await asyncio.sleep(0.01)
    await first.stop()
    assert await reading is None
    with pytest.raises(Timeout):
        await writing
    assert (sorted(first.asked), second.asked) == (["range", "txn"], ["range"])


async def test_a_member_that_hangs_is_left_for_another(store: EtcdStore, first: FakeMember, second: FakeMember) -> None:
    first.hangs = True
    with pytest.raises(Timeout):
        await write(store)  # found out by asking the member how it is
    await write(store)
    assert (first.asked, second.asked) == (["txn"], ["txn"])


async def test_a_member_of_another_cluster_is_never_asked_for_anything(
    store: EtcdStore, first: FakeMember, second: FakeMember
) -> None:
    await second.stop()
    second.cluster_id += 1
    await second.start()
    await first.stop()
    with pytest.raises(Unavailable):
        await store.get("/a")
    assert second.asked == []
    await first.start()
    assert await store.get("/a") is None
    assert second.asked == []


async def test_when_all_members_are_of_another_cluster_all_that_was_known_is_void(
    store: EtcdStore, first: FakeMember, second: FakeMember
) -> None:
    for member in (first, second):
        await member.stop()
        member.cluster_id += 1
        await member.start()
    with pytest.raises(Internal, match="restart this process"):
        await store.get("/a")
    assert (first.asked, second.asked) == ([], [])


async def test_a_member_without_leader_is_not_begun_with(first: FakeMember, second: FakeMember) -> None:
    first.leader = 0
    store = await EtcdStore.connect(
        StoreOptions("etcd", (first.endpoint, second.endpoint)), SystemClock(), rng=InOrder()
    )
    await write(store)
    assert first.asked == []
    await store.close()
