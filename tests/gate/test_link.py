# SPDX-License-Identifier: Apache-2.0
"""A node's link to the control plane works through the gate, with the client that speaks to etcd, and through what fails behind it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from support.gate import PATIENCE_SECONDS, Gate, gate_before, issue_own
from support.node_attacks import OTHER, USER
from support.records import T0
from zun.base.backoff import Backoff
from zun.base.clock import SystemClock
from zun.model.errors import Denied, Invalid, NotFound, Timeout, Unavailable
from zun.model.records import ActionResult, Observation, SeenState
from zun.pki import files, pem
from zun.store import keys
from zun.store.etcd.store import EtcdStore
from zun.store.interface import (
    Compacted,
    Compare,
    Delete,
    DeletePrefix,
    Get,
    Op,
    Put,
    RangeResult,
    TxnResult,
    absent,
    unchanged,
)
from zun.store.memory import MemoryStore
from zun.store.nodelink import Forget, ResultReport
from zun.store.nodelink_store import StoreNodeLink
from zun.store.options import StoreOptions

INBOX = keys.inbox_prefix("n1")
OUT = keys.node_prefix("n1")


class Moody(MemoryStore):
    """A store that fails when it is told to."""

    failure: Exception | None = None

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        if self.failure is not None:
            raise self.failure
        return await super().transact(compares, success, failure)


class Counting(MemoryStore):
    """A store that knows how many pages were asked for at a time."""

    inside = most = 0

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(20):
            await asyncio.sleep(0)
        self.inside -= 1
        return await super().range(prefix, start_after=start_after, limit=limit, revision=revision, keys_only=keys_only)


@pytest.fixture
async def behind() -> AsyncIterator[Moody]:
    store = Moody(SystemClock())
    yield store
    await store.close()


@pytest.fixture
async def gate(behind: Moody, tmp_path: Path) -> AsyncIterator[Gate]:
    async with gate_before(behind, tmp_path) as made:
        await made.let_in("n1", USER)
        await made.let_in("n10", OTHER)
        yield made


@asynccontextmanager
async def connected(*gates: Gate, user: str = USER) -> AsyncIterator[EtcdStore]:
    """The store as the node sees it."""
    own = str(gates[0].files_of(user))
    options = StoreOptions("etcd", tuple(one.address for one in gates), str(gates[0].directory / "ca.pem"), own, own)
    store = await EtcdStore.connect(options, SystemClock(), readable_key=keys.node_alive("n1"))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def node(gate: Gate) -> AsyncIterator[EtcdStore]:
    async with connected(gate) as store:
        yield store


async def test_reads_and_transactions_are_those_of_the_store(node: EtcdStore, behind: Moody) -> None:
    first = await node.transact([absent(f"{OUT}a")], [Put(f"{OUT}a", b"1"), Get(f"{OUT}a")])
    assert (first.succeeded, first.reads[0].value if first.reads[0] else None) == (True, b"1")
    second = await node.transact([absent(f"{OUT}a")], [Put(f"{OUT}a", b"2")], [Get(f"{OUT}a"), Get(f"{OUT}b")])
    assert (second.succeeded, [read.value if read else None for read in second.reads]) == (False, [b"1", None])
    third = await node.transact([unchanged(f"{OUT}a", first.revision)], [Delete(f"{OUT}a"), DeletePrefix(f"{OUT}s/")])
    assert third.succeeded
    assert await node.get(f"{OUT}a") is None
    assert (await node.get(f"{OUT}a", revision=first.revision)) == (
        await behind.get(f"{OUT}a", revision=first.revision)
    )
    assert await node.revision() == await behind.revision()


async def test_pages_are_of_one_revision_however_many(node: EtcdStore, behind: Moody) -> None:
    for start in range(0, 2400, 120):
        await behind.transact([], [Put(f"{INBOX}c/{n:05}", b"x" * 100) for n in range(start, start + 120)])
    found = await node.range(INBOX)
    await behind.transact([], [Put(f"{INBOX}c/99999", b"later")])
    await node.revision()
    assert [kv.key for kv in found.items] == [f"{INBOX}c/{n:05}" for n in range(2400)]
    old = await node.range(INBOX, start_after=f"{INBOX}c/02300", revision=found.revision)
    assert len(old.items) == 99
    few = await node.range(INBOX, limit=7, keys_only=True)
    assert (len(few.items), few.more, few.items[0].value) == (7, True, b"")


async def test_a_link_lives(node: EtcdStore, behind: Moody) -> None:
    link = StoreNodeLink(node, "n1", SystemClock(), lease_ttl_seconds=5)
    await link.heartbeat()
    await link.heartbeat()
    assert (await behind.get(keys.node_alive("n1"))) is not None
    uuid = "00000000-0000-0000-0000-000000000001"
    async with link.inbox() as batches:
        assert (await anext(batches)).snapshot
        await behind.transact([], [Put(keys.inbox("n10", uuid), b"{}"), Put(keys.inbox("n1", uuid), b"nonsense")])
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await anext(batches)).damaged == {uuid}
    await link.report([Observation(uuid, 1, SeenState.RUNNING), ResultReport(uuid, ActionResult("req-1", 1, T0))])
    assert set((await link.remembered()).observations) == {uuid}
    await behind.transact([], [Put(keys.blob("n1", uuid, number), bytes([number])) for number in range(3)])
    assert await link.fetch_blobs(uuid) == {0: b"\x00", 1: b"\x01", 2: b"\x02"}
    await link.report([Forget(uuid)])
    assert not (await behind.range(f"{OUT}s/")).items
    await link.close()
    assert await behind.get(keys.node_alive("n1")) is None


@pytest.fixture
async def other(gate: Gate, behind: Moody, tmp_path: Path) -> AsyncIterator[Gate]:
    """A second gate before the same store."""
    async with gate_before(behind, tmp_path / "other", authority=gate.authority) as made:
        yield made


async def test_the_lease_is_the_nodes_at_every_gate(gate: Gate, other: Gate) -> None:
    async with connected(gate) as here, connected(other) as there:
        lease = await here.grant_lease(60)
        with pytest.raises(NotFound):
            await there.keep_alive(lease)  # not used yet: nobody knows whose it is
        await here.transact([], [Put(keys.node_alive("n1"), b"{}", lease)])
        assert await there.keep_alive(lease) == 60
        await there.transact([], [Put(f"{OUT}life", b"{}", lease)])
        await there.revoke(lease)
        with pytest.raises(NotFound):
            await here.keep_alive(lease)


async def test_when_one_gate_goes_the_other_serves(gate: Gate, other: Gate, behind: Moody) -> None:
    async with connected(other, gate) as node:
        async with node.watch(INBOX, from_revision=await node.revision() + 1) as changes:
            await other.server.stop()
            revision = (await behind.transact([], [Put(f"{INBOX}c/1", b"1")])).revision
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (batch := await anext(changes)).events:
                    pass
            assert batch.revision == revision
        await node.transact([], [Put(f"{OUT}a", b"1")])


@pytest.mark.parametrize(("raised", "told"), [(Unavailable("away"), Unavailable), (Timeout("slow"), Timeout)])
async def test_what_fails_behind_the_gate_fails_alike_before_it(
    node: EtcdStore, behind: Moody, raised: Exception, told: type[Exception]
) -> None:
    behind.failure = raised
    with pytest.raises(told):
        await node.transact([], [Put(f"{OUT}a", b"1")])


async def test_what_the_store_refuses_is_told(node: EtcdStore) -> None:
    with pytest.raises(Invalid):
        await node.transact([], [Put(f"{OUT}a", bytes(1_600_000))])
    with pytest.raises(NotFound):
        await node.transact([], [Put(f"{OUT}a", b"", 12345)])
    with pytest.raises(Invalid):
        await node.get(f"{OUT}a", revision=10**9)


async def test_a_large_report_passes(node: EtcdStore, behind: Moody) -> None:
    await node.transact([], [Put(f"{OUT}a", bytes(1_400_000))])
    found = await node.get(f"{OUT}a")
    assert found is not None
    assert len(found.value) == 1_400_000


async def test_what_was_compacted_is_told_to_reads_and_watches(node: EtcdStore, behind: Moody) -> None:
    for number in range(10):
        await behind.transact([], [Put(f"{INBOX}c/{number}", b"1")])
    await behind.compact(await behind.revision())
    with pytest.raises(Compacted):
        await node.get(f"{INBOX}c/1", revision=2)
    with pytest.raises(Compacted) as told:
        async with node.watch(INBOX, from_revision=2) as changes:
            await anext(changes)
    assert told.value.compact_revision == await behind.revision()


async def test_the_reads_of_a_node_wait_for_each_other(tmp_path: Path) -> None:
    store = Counting(SystemClock())
    async with gate_before(store, tmp_path) as gate:
        await gate.let_in("n1", USER)
        async with connected(gate) as node:
            store.most = 0
            await asyncio.gather(*(node.range(OUT) for _ in range(20)))
            assert store.most == 1
    await store.close()


async def test_a_removed_node_is_denied_and_does_not_try_for_ever(gate: Gate, node: EtcdStore) -> None:
    async with node.watch(INBOX, from_revision=await node.revision() + 1) as changes:
        await gate.remove("n1")
        with pytest.raises(Denied):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await anext(changes)
    with pytest.raises(Denied):
        await node.get(keys.node_alive("n1"))
    with pytest.raises(Denied):
        async with connected(gate):
            pass


async def test_a_new_certificate_of_the_gate_is_shown_without_a_restart(gate: Gate) -> None:
    issue_own(gate.authority, gate.directory)
    serial = pem.certificate_from_pem((gate.directory / "gate.pem").read_bytes(), "it").serial_number
    async with asyncio.timeout(PATIENCE_SECONDS):
        for delay in Backoff(first_seconds=0.05, cap_seconds=0.2).delays():
            if await _shown_by(gate) == serial:
                return
            await asyncio.sleep(delay)


async def _shown_by(gate: Gate) -> int:
    context = ssl.create_default_context(cafile=str(gate.directory / "ca.pem"))
    own = gate.files_of(USER)
    context.load_cert_chain(own)
    context.set_alpn_protocols(["h2"])
    host, port = gate.address.split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(shown).serial_number


async def test_a_new_certificate_of_the_node_is_used_without_a_restart(gate: Gate, behind: Moody) -> None:
    own = gate.files_of(USER)
    options = StoreOptions("etcd", (gate.address,), str(gate.directory / "ca.pem"), str(own), str(own))
    node = await EtcdStore.connect(options, SystemClock(), readable_key=keys.node_alive("n1"))
    try:
        await gate.let_in("n1", "node-n1@00000002")  # as if the same machine had joined anew
        files.write(own, gate.files_of("node-n1@00000002").read_bytes())
        async with asyncio.timeout(PATIENCE_SECONDS):
            for delay in Backoff(first_seconds=0.05, cap_seconds=0.2).delays():
                try:
                    await node.transact([], [Put(f"{OUT}a", b"1")])
                    break
                except Denied:
                    await asyncio.sleep(delay)
    finally:
        await node.close()
