# SPDX-License-Identifier: Apache-2.0
"""What is told of etcd's members one by one: who is away, who leads, how large they are, and that they are full."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from support.etcd_cluster import EtcdCluster
from zun.base.clock import SystemClock
from zun.model.errors import Timeout, Unavailable
from zun.store.contract_keys import put
from zun.store.etcd.store import EtcdStore

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


async def test_each_member_is_told_with_who_leads_and_who_is_away(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, auth=True) as cluster:
        store = await EtcdStore.connect(cluster.client_options(), SystemClock())
        told = await store.health()
        assert [member.name for member in told] == [f"member {endpoint}" for endpoint in sorted(cluster.endpoints)]
        assert [member.trouble for member in told] == ["", "", ""]
        (leader,) = (member.name for member in told if member.leads)
        assert leader == f"member {cluster.endpoints[cluster.leader()]}"
        assert all(member.version and member.bytes >= member.bytes_in_use > 0 for member in told)

        follower = cluster.follower()
        cluster.kill(follower)
        told = await store.health()
        away = [member for member in told if member.trouble]
        assert [member.name for member in away] == [f"member {cluster.endpoints[follower]}"]
        await store.close()


async def test_a_full_etcd_is_told_to_be_full_on_every_member_and_nothing_else_wrong(tmp_path: Path, root: str) -> None:
    with EtcdCluster(tmp_path, quota_bytes=8 * 2**20) as cluster:
        store = await EtcdStore.connect(cluster.client_options(), SystemClock())

        async def fill() -> None:
            for number in range(1000):
                with suppress(Timeout):  # for a moment it is in doubt; then it is sure
                    await put(store, f"{root}{number % 5}", bytes(200_000))

        with pytest.raises(Unavailable):
            await fill()
        assert [(member.full, member.trouble) for member in await store.health()] == [(True, "")] * 3
        await store.close()
