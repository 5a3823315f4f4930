# SPDX-License-Identifier: Apache-2.0
"""There is one leader, everybody learns when that changes, and who lost it can write nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from zun.base.clock import ManualClock
from zun.model.errors import Unavailable
from zun.store import keys
from zun.store.election import Election, Leadership
from zun.store.interface import Compare, Delete, Op, Put, TxnResult
from zun.store.memory import MemoryStore

TTL = 9
PATIENCE = 10.0


class StoreWithOutages(MemoryStore):
    """A store that is away for renewals, and for transactions, when told so."""

    away = False

    async def keep_alive(self, lease: int) -> int:
        if self.away:
            raise Unavailable("away")
        return await super().keep_alive(lease)

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        if self.away:
            raise Unavailable("away")
        return await super().transact(compares, success, failure)


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[StoreWithOutages]:
    store = StoreWithOutages(clock)
    yield store
    await store.close()


@pytest.fixture
def election(store: StoreWithOutages, clock: ManualClock) -> Callable[[str], Election]:
    return lambda identity: Election(store, "controllers", identity, TTL, clock)


Candidate = Callable[[str], Election]


async def settle() -> None:
    """Let every task run as far as it gets by itself."""
    for _ in range(50):
        await asyncio.sleep(0)


async def pass_time(clock: ManualClock, seconds: int) -> None:
    """Let time pass second by second."""
    for _ in range(seconds):
        clock.advance(1)
        await settle()


async def campaign(candidate: Election) -> Leadership:
    async with asyncio.timeout(PATIENCE):
        return await candidate.campaign()


async def test_one_leads_and_the_other_waits_until_it_resigns(store: StoreWithOutages, election: Candidate) -> None:
    first = await campaign(election("one"))
    waiting = asyncio.ensure_future(campaign(election("two")))
    await settle()
    assert not waiting.done()
    assert (await store.transact([first.compare()], [])).succeeded
    await first.resign()
    second = await waiting
    found = await store.get(keys.leader("controllers"))
    assert found is not None
    assert found.value == b"two"
    assert not (await store.transact([first.compare()], [])).succeeded
    assert (await store.transact([second.compare()], [])).succeeded
    await second.resign()


async def test_a_leader_that_renews_leads_on(clock: ManualClock, election: Candidate) -> None:
    async with await campaign(election("one")) as leadership:
        await pass_time(clock, 5 * TTL)
        assert not leadership.is_lost()


async def test_a_leader_that_cannot_renew_knows_it_in_time_and_the_next_one_follows(
    store: StoreWithOutages, clock: ManualClock, election: Candidate
) -> None:
    first = await campaign(election("one"))
    waiting = asyncio.ensure_future(campaign(election("two")))
    await settle()
    store.away = True
    await pass_time(clock, TTL - 1)
    assert not first.is_lost()
    await pass_time(clock, 1)
    async with asyncio.timeout(PATIENCE):
        await first.lost()
    store.away = False
    await pass_time(clock, 2 * TTL)
    second = await waiting
    assert not (await store.transact([first.compare()], [])).succeeded
    for leadership in (first, second):
        await leadership.resign()
    assert await store.get(keys.leader("controllers")) is None


async def test_a_short_outage_costs_nobody_the_leadership(
    store: StoreWithOutages, clock: ManualClock, election: Candidate
) -> None:
    async with await campaign(election("one")) as leadership:
        store.away = True
        await pass_time(clock, TTL // 2)
        store.away = False
        await pass_time(clock, 2 * TTL)
        assert not leadership.is_lost()


async def test_a_key_that_was_taken_away_ends_the_leadership(
    store: StoreWithOutages, clock: ManualClock, election: Candidate
) -> None:
    leadership = await campaign(election("one"))
    await store.transact([], [Delete(keys.leader("controllers"))])
    await store.transact([], [Put(keys.leader("controllers"), b"usurper")])
    assert not (await store.transact([leadership.compare()], [])).succeeded
    await pass_time(clock, TTL)
    assert leadership.is_lost()
    await leadership.resign()
    assert await store.get(keys.leader("controllers")) is not None


async def test_a_candidate_waits_through_an_outage(
    store: StoreWithOutages, clock: ManualClock, election: Candidate
) -> None:
    store.away = True
    waiting = asyncio.ensure_future(campaign(election("one")))
    await pass_time(clock, TTL)
    assert not waiting.done()
    store.away = False
    await pass_time(clock, TTL)
    await (await waiting).resign()


async def test_roles_do_not_disturb_each_other(store: StoreWithOutages, clock: ManualClock) -> None:
    first = await campaign(Election(store, "a", "one", TTL, clock))
    longer = await campaign(Election(store, "ab", "two", TTL, clock))
    waiting = asyncio.ensure_future(campaign(Election(store, "a", "three", TTL, clock)))
    await settle()
    await longer.resign()
    await settle()
    assert not waiting.done()
    await first.resign()
    await (await waiting).resign()


async def test_many_candidates_lead_one_after_the_other(store: StoreWithOutages, election: Candidate) -> None:
    leading: list[str] = []

    async def serve(identity: str) -> None:
        async with await campaign(election(identity)):
            leading.append(identity)
            assert len(leading) == 1
            await settle()
            leading.remove(identity)

    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(serve(str(number)))
