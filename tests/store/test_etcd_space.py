# SPDX-License-Identifier: Apache-2.0
"""An etcd that is full takes no writes and says so; everything else goes on, and space that is freed lets it write again."""

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.etcd_cluster import EtcdCluster
from zun.base.clock import SystemClock
from zun.model.errors import Timeout, Unavailable
from zun.store.contract_keys import put
from zun.store.contract_watches import events_until
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Delete

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

QUOTA_BYTES = 8 * 2**20
VALUE = bytes(100_000)
WRITERS = 8


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path, quota_bytes=QUOTA_BYTES) as cluster:
        yield cluster


class Filling:
    """Writers that write, each always to its own key, until etcd surely takes no more. Each write is known by its value."""

    def __init__(self, store: EtcdStore, root: str) -> None:
        self.taken: dict[bytes, int] = {}
        self.in_doubt: set[bytes] = set()
        self.refused: set[bytes] = set()
        self._store = store
        self._root = root

    async def run(self) -> None:
        """Write until every writer was refused for certain."""
        await asyncio.gather(*(self._write(writer) for writer in range(WRITERS)))
        assert len(self.taken) > 10

    async def _write(self, writer: int) -> None:
        for number in itertools.count():  # history fills it, as in life
            value = VALUE + b"%d/%d" % (number, writer)
            try:
                self.taken[value] = await put(self._store, f"{self._root}{writer}", value)
            except Timeout:
                self.in_doubt.add(value)
            except Unavailable:
                self.refused.add(value)
                return

    def check(self, seen: dict[bytes, int]) -> None:
        """What was taken is there, what was refused is not, and whatever else is there had been in doubt."""
        assert {value: seen.get(value) for value in self.taken} == self.taken
        assert seen.keys() - self.taken.keys() <= self.in_doubt
        assert not seen.keys() & self.refused


async def test_a_full_etcd_refuses_writes_only_and_takes_them_again_when_space_was_freed(
    cluster: EtcdCluster, root: str
) -> None:
    store = await EtcdStore.connect(cluster.client_options(), SystemClock())
    lease = await store.grant_lease(60)
    start = await store.revision() + 1
    async with store.watch(root, from_revision=start) as changes:
        filling = Filling(store, root)
        await filling.run()
        with pytest.raises(Unavailable, match=r"out of space.*compact, defragment every member.*disarm the alarm"):
            await store.grant_lease(60)

        events = await events_until(changes, await store.revision())
        filling.check({event.kv.value: event.kv.mod_revision for event in events})
        newest = {event.kv.key: event.kv.mod_revision for event in events}
        assert {kv.key: kv.mod_revision for kv in (await store.range(root)).items} == newest
        assert await store.keep_alive(lease) == 60
        await store.transact([], [Delete(root + "0")])
        assert await store.get(root + "0") is None
        await store.revoke(lease)

        await store.compact(await store.revision())
        for endpoint in cluster.endpoints:
            cluster.etcdctl("defrag", endpoints=[endpoint])
        with pytest.raises(Unavailable, match="out of space"):
            await put(store, root + "0", b"the alarm is still on")
        assert await store.get(root + "0") is None
        cluster.etcdctl("alarm", "disarm")
        revision = await put(store, root + "0", b"small")
        assert (await events_until(changes, revision))[-1].kv.value == b"small"
    await store.close()
