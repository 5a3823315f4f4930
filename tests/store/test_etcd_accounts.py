# SPDX-License-Identifier: Apache-2.0
"""Nodes with accounts of their own in a real etcd: made at joining, enough for a node's work, and no trouble for others."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.joining import Machine
from support.secure_etcd import SecureEtcd
from zun.base.clock import SystemClock
from zun.base.ids import new_request_id
from zun.base.sealing import MasterKey
from zun.model.caller import Caller, RequestContext
from zun.model.errors import Denied, Invalid
from zun.model.records import NodeRecord, Observation, SeenState
from zun.pki import files, pem
from zun.pki.certifier import NodeCertifier
from zun.pki.exchange import JoinAnswer, read_answer, sign_request
from zun.pki.tokens import read_token
from zun.policy.enforcer import Policy
from zun.services.account_keeping import AccountKeeper
from zun.services.join_options import JoinOptions
from zun.services.joining import JoiningService
from zun.store import codec, keys
from zun.store.etcd.auth import EtcdAccounts
from zun.store.etcd.initialising import initialise
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Delete, Put
from zun.store.nodelink_store import StoreNodeLink
from zun.store.options import StoreOptions

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

ADMIN = RequestContext(Caller("root", "cloud", frozenset({"admin"}), is_admin=True), new_request_id())
UUID = "00000000-0000-0000-0000-000000000001"


class House:
    """The control plane's side, over an etcd that is open to nodes."""

    def __init__(self, etcd: SecureEtcd, store: EtcdStore) -> None:
        self.etcd = etcd
        self.store = store
        own = (etcd.state_dir / "etcd-ca.pem").read_text()
        self.keeper = AccountKeeper(store, EtcdAccounts(store.auth()))
        self.service = JoiningService(
            store=store,
            policy=Policy(),
            clock=SystemClock(),
            master_key=MasterKey(bytes(32)),
            certifier=NodeCertifier(etcd.authority, 30, also=own),
            keeper=self.keeper,
            options=JoinOptions(endpoints=(etcd.endpoint,), direct=True),
        )

    async def join(self, machine: Machine, *, again: bool = False) -> JoinAnswer:
        made = await self.service.make_token(ADMIN, node=machine.name if again else "", url="http://x")
        token = read_token(made.word)
        signed = sign_request(token.id, token.secret, machine.request(time.time()))
        return read_answer(token.secret, signed, await self.service.join(signed))

    async def remove(self, node: str) -> None:
        await self.store.transact([], [Delete(keys.node(node))])
        await self.keeper.settle(node)

    async def connect(self, machine: Machine, answer: JoinAnswer, directory: Path) -> EtcdStore:
        """The store as the node has it."""
        trusted, own = directory / f"{machine.name}-ca.pem", directory / f"{machine.name}.pem"
        trusted.write_text(answer.trusted)
        files.write(own, pem.key_to_pem(machine.key) + answer.certificate.encode())
        options = StoreOptions("etcd", answer.endpoints, str(trusted), str(own), str(own))
        return await EtcdStore.connect(options, SystemClock(), readable_key=keys.node_alive(machine.name))


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureEtcd]:
    server = SecureEtcd(tmp_path_factory.mktemp("etcd"), open_to_nodes=True)
    server.start()
    asyncio.run(initialise(server.control().options(), SystemClock()))
    yield server
    server.kill()


@pytest.fixture
async def house(etcd: SecureEtcd) -> AsyncIterator[House]:
    store = await EtcdStore.connect(etcd.control().options(), SystemClock())
    yield House(etcd, store)
    await store.close()


async def test_a_node_lives_by_its_own_rights_alone(house: House, tmp_path: Path) -> None:
    machine = Machine("a1")
    node = await house.connect(machine, await house.join(machine), tmp_path)
    link = StoreNodeLink(node, "a1", SystemClock(), lease_ttl_seconds=10)
    await link.heartbeat()
    await link.heartbeat()
    async with link.inbox() as batches:
        assert (await anext(batches)).snapshot
        await house.store.transact([], [Put(keys.inbox("a1", UUID), b"nonsense")])
        async with asyncio.timeout(60):
            assert (await anext(batches)).damaged == {UUID}
    await link.report([Observation(UUID, 1, SeenState.RUNNING)])
    assert set((await link.remembered()).observations) == {UUID}
    await house.store.transact([], [Put(keys.blob("a1", UUID, 0), b"sealed")])
    assert await link.fetch_blobs(UUID) == {0: b"sealed"}
    for key in (keys.node("a1"), keys.inbox("a10", UUID), keys.leader("controller")):
        with pytest.raises(Denied):
            await node.get(key)
    await link.close()
    await node.close()


async def test_another_machine_under_the_name_takes_the_rights_with_it(house: House, tmp_path: Path) -> None:
    old, new = Machine("a2"), Machine("a2")
    before = await house.connect(old, await house.join(old), tmp_path)
    answer = await house.join(new, again=True)
    (tmp_path / "new").mkdir()
    after = await house.connect(new, answer, tmp_path / "new")
    await after.transact([], [Put(keys.node_alive("a2"), b"{}")])
    with pytest.raises(Denied):
        await before.get(keys.node_alive("a2"))
    await house.remove("a2")
    with pytest.raises(Denied):
        await after.get(keys.node_alive("a2"))
    for store in (before, after):
        await store.close()


async def test_a_sweep_puts_right_what_was_broken_off(house: House) -> None:
    accounts = EtcdAccounts(house.store.auth())
    await house.join(Machine("a3"))
    await accounts.give("a4", "node-a4@00000001")  # its record was never written, or is gone
    await accounts.take_all("a3")
    records = [codec.decode(NodeRecord, kv.value) for kv in (await house.store.range(keys.NODES)).items]
    assert set(await house.keeper.sweep(records)) == {"a3", "a4"}
    users = await accounts.users()
    assert [user for user in users if user.startswith(("node-a3@", "node-a4@"))] == [
        record.user for record in records if record.node == "a3"
    ]
    assert await house.keeper.sweep(records) == []


async def test_machines_that_join_disturb_nobody(house: House) -> None:
    writing = True
    written = 0

    async def write(number: int) -> None:
        nonlocal written
        while writing:
            await house.store.transact([], [Put(f"/zun/v/q/p{number}", b"x")])
            written += 1

    writers = [asyncio.create_task(write(number)) for number in range(4)]
    await asyncio.gather(*(house.join(Machine(f"crowd-{number}")) for number in range(10)))
    writing = False
    await asyncio.gather(*writers)
    assert written


async def test_users_are_not_enabled_where_strangers_are_welcome(tmp_path: Path) -> None:
    server = SecureEtcd(tmp_path, open_to_all=True)
    server.start()
    try:
        with pytest.raises(Invalid, match="--client-cert-auth"):
            await initialise(server.control().options(), SystemClock())
        store = await EtcdStore.connect(server.control().options(), SystemClock())
        assert await store.auth().users() == []
        await store.close()
    finally:
        server.kill()


async def test_users_are_not_enabled_by_whom_it_would_lock_out(tmp_path: Path) -> None:
    server = SecureEtcd(tmp_path, open_to_nodes=True)
    server.start()
    try:
        for _ in range(2):
            with pytest.raises(Invalid, match="would lock the control plane out"):
                await initialise(server.identity("somebody").options(), SystemClock())
        await initialise(server.control().options(), SystemClock())
        await initialise(server.control().options(), SystemClock())
    finally:
        server.kill()


async def test_users_need_certificates() -> None:
    with pytest.raises(Invalid, match="names no certificates"):
        await initialise(StoreOptions("etcd", ("127.0.0.1:1",)), SystemClock())
