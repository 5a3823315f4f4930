# SPDX-License-Identifier: Apache-2.0
"""The leader signs the next certificates of nodes it knows, and keeps accounts in agreement with records."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from controllers.stage import until
from support.world import World
from zun.base.clock import ManualClock
from zun.controllers.certifying.loop import SWEEP_SECONDS, CertifyingLoop
from zun.controllers.certifying.signing import PAUSE_SECONDS, Signer
from zun.model.join_records import IssuedCertificate
from zun.model.records import NodeRecord
from zun.pki import pem
from zun.pki.authority import Authority, is_issued_by, utc
from zun.pki.certifier import NodeCertifier
from zun.pki.facts import facts_of
from zun.pki.requests import new_request
from zun.services.account_keeping import AccountKeeper
from zun.store import keys
from zun.store.accounts import FakeAccounts
from zun.store.fencing import Fence
from zun.store.interface import Delete, Put
from zun.store.nodecertificates import NodeCertificates

USER = "node-n1@00000001"


class Stage:
    """The loop at work, and one node."""

    def __init__(self, world: World, clock: ManualClock) -> None:
        self.world = world
        self.clock = clock
        self.authority = Authority.create("Test CA", utc(clock.now()))
        self.accounts = FakeAccounts()
        self.link = NodeCertificates(world.store, "n1")
        self.loop = CertifyingLoop(
            view=world.view,
            clock=clock,
            signer=Signer(world.store, clock, NodeCertifier(self.authority, 365)),
            keeper=AccountKeeper(world.store, self.accounts),
        )

    async def node(self, name: str = "n1", user: str = USER) -> None:
        await self.world.put(keys.node(name), NodeRecord(name, 1, self.clock.now(), user=user))

    async def answer(self, csr: str) -> IssuedCertificate:
        changes = self.world.view.subscribe()
        async with asyncio.timeout(60):
            while (found := await self.link.answer(csr)) is None:
                await changes.batch()
        return found


@asynccontextmanager
async def working(stage: Stage, fence: Fence) -> AsyncIterator[None]:
    running = asyncio.create_task(stage.loop.run(fence))
    await settle()
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.fixture
def stage(world: World, clock: ManualClock) -> Stage:
    return Stage(world, clock)


async def test_a_node_gets_its_next_certificate(stage: Stage, fence: Fence) -> None:
    await stage.node()
    key = pem.new_key()
    async with working(stage, fence):
        await stage.link.ask(csr := new_request(key, USER))
        issued = await stage.answer(csr)
    certificate = pem.certificate_from_pem(issued.certificate.encode(), "it")
    assert is_issued_by(certificate, stage.authority.certificate)
    assert pem.public_bytes(certificate.public_key()) == pem.public_bytes(key.public_key())
    facts = facts_of(certificate)
    assert (facts.common_name, facts.hosts) == (USER, ("node-n1",))


async def test_a_request_from_before_the_leader_came_is_answered(stage: Stage, fence: Fence) -> None:
    await stage.node()
    await stage.link.ask(csr := new_request(pem.new_key(), USER))
    async with working(stage, fence):
        assert (await stage.answer(csr)).certificate


@pytest.mark.parametrize("name", ["node-n2@00000001", "node-n1@00000002", "node-n1", "zun-control", "root"])
async def test_a_node_that_asks_for_another_name_is_told_no(stage: Stage, fence: Fence, name: str) -> None:
    await stage.node()
    async with working(stage, fence):
        await stage.link.ask(csr := new_request(pem.new_key(), name))
        issued = await stage.answer(csr)
    assert (issued.certificate, "gets certificates as node-n1@00000001 only" in issued.refused) == ("", True)


async def test_a_request_that_is_none_is_told_so(stage: Stage, fence: Fence) -> None:
    await stage.node()
    async with working(stage, fence):
        await stage.link.ask("nonsense")
        assert (await stage.answer("nonsense")).refused


async def test_what_nobody_can_read_is_ignored(stage: Stage, fence: Fence) -> None:
    await stage.node()
    async with working(stage, fence):
        await stage.world.write(Put(keys.node_request("n1"), b"\xff nonsense"))
        await settle()
        stage.clock.advance(PAUSE_SECONDS)
        await stage.link.ask(csr := new_request(pem.new_key(), USER))
        assert (await stage.answer(csr)).certificate


@pytest.mark.parametrize("user", ["", "node-n1@00000002"])
async def test_a_node_that_was_removed_or_replaced_gets_nothing(stage: Stage, fence: Fence, user: str) -> None:
    if user:
        await stage.node(user=user)
    async with working(stage, fence):
        await stage.link.ask(csr := new_request(pem.new_key(), USER))
        await settle()
        answer = await stage.link.answer(csr)
        assert answer is None or not answer.certificate


async def test_a_node_that_asks_all_the_time_is_answered_once_a_minute(stage: Stage, fence: Fence) -> None:
    await stage.node()
    async with working(stage, fence):
        await stage.link.ask(csr := new_request(pem.new_key(), USER))
        first = await stage.answer(csr)
        for _ in range(20):
            await stage.link.ask(csr := new_request(pem.new_key(), USER))
            await settle()
        found = await stage.world.store.get(keys.node_certificate("n1"))
        assert found is not None
        assert found.version == 1
        stage.clock.advance(PAUSE_SECONDS)
        last = await stage.answer(csr)
    assert last.at - first.at == PAUSE_SECONDS
    found = await stage.world.store.get(keys.node_certificate("n1"))
    assert found is not None
    assert found.version == 2


async def test_what_was_answered_is_not_answered_again_by_the_next_leader(stage: Stage, fence: Fence) -> None:
    await stage.node()
    await stage.link.ask(csr := new_request(pem.new_key(), USER))
    async with working(stage, fence):
        first = await stage.answer(csr)
    stage.clock.advance(2 * PAUSE_SECONDS)
    async with working(stage, fence):
        assert await stage.answer(csr) == first


async def test_whoever_leads_no_more_signs_nothing(stage: Stage, fence: Fence) -> None:
    await stage.node()
    async with working(stage, fence):
        await stage.world.write(Put(keys.leader("controller"), b"another"))
        await stage.link.ask(csr := new_request(pem.new_key(), USER))
        await settle()
        assert await stage.link.answer(csr) is None


async def test_an_account_without_record_goes(stage: Stage, fence: Fence) -> None:
    stage.accounts.holders = {"n1": USER, "n2": "node-n2@00000001"}
    await stage.node()
    async with working(stage, fence):
        assert stage.accounts.holders == {"n1": USER}
        await stage.world.write(Delete(keys.node("n1")))
        stage.clock.advance(SWEEP_SECONDS)
        await settle()
        assert stage.accounts.holders == {}


async def test_a_record_without_account_gets_it(stage: Stage, fence: Fence) -> None:
    stage.accounts.holders = {"n1": "node-n1@00000000"}
    await stage.node()
    async with working(stage, fence):
        assert stage.accounts.holders == {"n1": USER}


async def test_accounts_that_cannot_be_looked_at_are_looked_at_later(stage: Stage, fence: Fence) -> None:
    stage.accounts.away = True
    await stage.node()
    async with working(stage, fence):
        await stage.link.ask(csr := new_request(pem.new_key(), USER))
        assert (await stage.answer(csr)).certificate
        stage.accounts.away = False
        stage.clock.advance(SWEEP_SECONDS)
        await settle()
        assert stage.accounts.holders == {"n1": USER}


async def test_a_record_that_changes_while_its_account_is_made_decides(world: World, clock: ManualClock) -> None:
    stage = Stage(world, clock)
    await stage.node()
    changes: list[Callable[[], object]] = [lambda: stage.node(user="node-n1@00000002")]

    class Meanwhile(FakeAccounts):
        async def give(self, node: str, user: str) -> None:
            await super().give(node, user)
            if changes:
                changed = changes.pop()()
                assert asyncio.iscoroutine(changed)
                await changed

    accounts = Meanwhile()
    record = await AccountKeeper(world.store, accounts).settle("n1")
    assert record is not None
    assert record.user == "node-n1@00000002"
    assert accounts.holders == {"n1": "node-n1@00000002"}
    await until(world, lambda: world.view.node("n1") is not None)
