# SPDX-License-Identifier: Apache-2.0
"""A node has its next certificate long before the present one ends, and keeps the present one when it cannot get it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from zun.agent.membership import Membership, MembershipFiles
from zun.agent.renewing import LOOK_SECONDS, CertificateKeeper
from zun.base.clock import ManualClock
from zun.model.join_records import IssuedCertificate
from zun.pki import pem
from zun.pki.authority import Authority, utc
from zun.pki.certifier import NodeCertifier
from zun.pki.requests import new_request
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.memory import MemoryStore
from zun.store.nodecertificates import NodeCertificates, digest

USER = "node-n1@00000001"
DAY = 86_400.0


class Node:
    """A node that joined at the clock's beginning, for 30 days, and a hand that plays the leader."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.authority = Authority.create("Test CA", utc(self.clock.now()))
        self.certifier = NodeCertifier(self.authority, 30)
        self.files = MembershipFiles(directory)
        key = pem.new_key()
        certificate = self.signed(new_request(key, USER))
        self.files.save(Membership("n1", ("x:1",), "t"), key, certificate, self.authority.certificate_pem)
        self.keeper = CertificateKeeper(NodeCertificates(self.store, "n1"), self.files, "n1", self.clock)

    def signed(self, csr: str) -> str:
        return self.certifier.renew(csr, node="n1", user=USER, now=self.clock.now())

    async def request(self) -> str | None:
        found = await self.store.get(keys.node_request("n1"))
        from zun.model.join_records import CertificateRequest

        return codec.decode(CertificateRequest, found.value).csr if found is not None else None

    async def answer(self, **members: str) -> None:
        csr = await self.request()
        assert csr is not None
        answer = IssuedCertificate(**{"certificate": self.signed(csr), "request": digest(csr)} | members)
        await self.store.transact([], [Put(keys.node_certificate("n1"), codec.encode(answer))])

    async def later(self, seconds: float, step: float = 1800.0) -> None:
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            for _ in range(20):
                await asyncio.sleep(0)

    def has_a_whole_pair(self) -> bool:
        content = self.files.certificate.read_bytes()
        certificate = pem.certificate_from_pem(content, "it").public_key()
        return pem.public_bytes(certificate) == pem.public_bytes(pem.key_from_pem(content, "it").public_key())


@asynccontextmanager
async def at_work(node: Node) -> AsyncIterator[None]:
    running = asyncio.create_task(node.keeper.run())
    await node.later(1)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await node.store.close()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_a_young_certificate_is_left_alone(node: Node) -> None:
    async with at_work(node):
        await node.later(19 * DAY)
        assert await node.request() is None


async def test_a_new_one_is_asked_for_at_two_thirds_and_taken_into_use(node: Node) -> None:
    before = node.files.facts()
    old_key = node.files.certificate.read_bytes()
    async with at_work(node):
        await node.later(20 * DAY + 2 * LOOK_SECONDS)
        await node.answer()
        await node.later(120, step=30)
        after = node.files.facts()
        assert await node.request() is None
    assert after.not_after > before.not_after
    assert (after.common_name, after.hosts) == (before.common_name, before.hosts)
    assert node.files.certificate.read_bytes() != old_key
    assert node.has_a_whole_pair()
    assert not node.files.next_key.exists()


async def test_a_restart_in_between_asks_with_the_same_key(node: Node) -> None:
    async with at_work(node):
        await node.later(20 * DAY + 2 * LOOK_SECONDS)
        first = await node.request()
        assert first is not None
        pending = node.files.next_key.read_bytes()
    assert pem.public_bytes(node.files.renewal_key().public_key()) == pem.public_bytes(
        pem.key_from_pem(pending, "it").public_key()
    )


async def test_a_key_that_came_into_use_already_is_not_asked_for_again(node: Node) -> None:
    present = pem.key_from_pem(node.files.certificate.read_bytes(), "it")
    node.files.next_key.write_bytes(pem.key_to_pem(present))  # its removal was cut off
    assert pem.public_bytes(node.files.renewal_key().public_key()) != pem.public_bytes(present.public_key())
    await node.store.close()


@pytest.mark.parametrize(
    "answer", [{"certificate": "x"}, {"certificate": "", "refused": "because"}, {"request": "another"}]
)
async def test_without_a_good_answer_the_old_one_stays_and_it_is_said(
    node: Node, caplog: pytest.LogCaptureFixture, answer: dict[str, str]
) -> None:
    before = node.files.certificate.read_bytes()
    async with at_work(node):
        await node.later(20 * DAY + 2 * LOOK_SECONDS)
        await node.answer(**answer)
        await node.later(DAY)
    assert node.files.certificate.read_bytes() == before
    assert any(record.levelno >= logging.WARNING for record in caplog.records)


async def test_a_certificate_for_another_key_is_not_taken(node: Node) -> None:
    before = node.files.certificate.read_bytes()
    async with at_work(node):
        await node.later(20 * DAY + 2 * LOOK_SECONDS)
        await node.answer(certificate=node.signed(new_request(pem.new_key(), USER)))
        await node.later(DAY)
    assert node.files.certificate.read_bytes() == before


async def test_nobody_answers_and_it_is_asked_again(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    async with at_work(node):
        await node.later(20 * DAY + 2 * LOOK_SECONDS)
        first = await node.request()
        await node.later(DAY, step=60)
        assert await node.request() != first
    assert "does a controller lead" in caplog.text
