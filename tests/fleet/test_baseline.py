# SPDX-License-Identifier: Apache-2.0
"""What the fleet's benchmark compares with: the transactions as they were sent, done again by somebody else."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.fleet import bare, wal

from support.etcd_server import EtcdServer
from support.fleet.reading import connect, stored
from zun.store import keys
from zun.store.etcd import messages
from zun.store.interface import Compare, CompareField, Delete, DeletePrefix, Get, Op, Put, absent, unchanged

pytestmark = pytest.mark.etcd

ROOT = Path(__file__).resolve().parents[2]
QUOTA, WISH, PLACE, LEADER, FOREIGN = (keys.VIEW + name for name in ("q/p", "c/1", "p/1", "lead/controller", "node/n1"))


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    server = EtcdServer(tmp_path)
    server.start()
    yield server
    server.kill()


async def act(endpoint: str) -> list[tuple[list[Compare], list[Op], list[Op]]]:
    """What a fleet does: a few transactions that rest on each other; returned as they were asked."""
    store = await connect(endpoint)
    led = await store.transact([], [Put(LEADER, b"me")])
    node = await store.transact([], [Put(FOREIGN, b"known before")])
    await store.transact([], [Put(keys.TOUCHED + "begin", b"")])
    asked: list[tuple[list[Compare], list[Op], list[Op]]] = []

    async def transact(compares: list[Compare], ops: list[Op], otherwise: list[Op]) -> int:
        asked.append((compares, ops, otherwise))
        return (await store.transact(compares, ops, otherwise)).revision

    accepted = await transact([absent(QUOTA)], [Put(QUOTA, b"1"), Put(WISH, b"w" * 900)], [Get(QUOTA)])
    leads = Compare(LEADER, CompareField.CREATE_REVISION, led.revision)
    place = [leads, unchanged(WISH, accepted), unchanged(FOREIGN, node.revision), absent(PLACE)]
    placed = await transact(place, [Put(PLACE, b"p" * 300), Put(keys.INBOX + "n1/c/1", b"w")], [])
    await transact([], [Put(keys.OUT + "n1/s/1", b"s"), Put(keys.OUT + "n1/e/1/r", b"e")], [])
    end = [unchanged(PLACE, placed), unchanged(QUOTA, accepted)]
    await transact(end, [Delete(PLACE), DeletePrefix(keys.OUT + "n1/e/1/"), Put(QUOTA, b"0")], [Get(QUOTA)])
    await store.transact([], [Put(keys.TOUCHED + "end", b"")])
    await store.close()
    return asked


def test_the_log_of_etcd_tells_what_it_was_asked_as_it_was_sent(etcd: EtcdServer) -> None:
    asked = asyncio.run(act(etcd.endpoint))
    found = wal.transactions(etcd.data_dir, keys.TOUCHED + "begin", keys.TOUCHED + "end")
    assert found == [messages.transaction(*one) for one in asked]


def test_a_bare_client_writes_the_same_again_under_names_of_its_own(etcd: EtcdServer, tmp_path: Path) -> None:
    asyncio.run(act(etcd.endpoint))
    found = wal.transactions(etcd.data_dir, keys.TOUCHED + "begin", keys.TOUCHED + "end")
    file = tmp_path / "requests"
    bare.write_requests(file, found)
    command = [sys.executable, "-m", "benchmarks.fleet.bare", "--endpoint", etcd.endpoint, "--requests", str(file)]
    done = subprocess.run(
        [*command, "--prefix", "/bar/"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["seconds"] > 0
    left = {key.removeprefix("/bar/"): value for key, value in stored(etcd.endpoint, "/bar/").items()}
    real = {key.removeprefix(keys.ROOT): value for key, value in stored(etcd.endpoint, keys.ROOT).items()}
    given = {"v/lead/controller", "v/node/n1"}
    marks = {key for key in real if key.startswith("v/touched/")}
    assert {key: left[key] for key in left.keys() - given} == {key: real[key] for key in real.keys() - given - marks}
