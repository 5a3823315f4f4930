# SPDX-License-Identifier: Apache-2.0
"""The cluster that tests use does what its verbs say: else tests of failures would prove nothing."""

import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from support.etcd_cluster import EtcdCluster

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("cluster"), auth=True) as cluster:
        yield cluster


def put(cluster: EtcdCluster, number: int, value: str, seconds: int = 20) -> None:
    cluster.etcdctl(f"--command-timeout={seconds}s", "put", "/key", value, endpoints=[cluster.endpoints[number]])


def local_value(cluster: EtcdCluster, number: int) -> str:
    """What a member has itself, however old."""
    return cluster.etcdctl(
        "get", "--consistency=s", "--print-value-only", "/key", endpoints=[cluster.endpoints[number]]
    ).strip()


def until_equal(cluster: EtcdCluster, number: int, value: str) -> None:
    deadline = time.monotonic() + 30
    while local_value(cluster, number) != value:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_member_that_is_cut_off_hears_nothing_until_it_joins_again(cluster: EtcdCluster) -> None:
    put(cluster, 0, "before")
    alone = cluster.leader()
    others = [number for number in range(3) if number != alone]
    cluster.cut_off(alone)
    deadline = time.monotonic() + 30
    while True:  # the others elect
        try:
            put(cluster, others[0], "meanwhile", 5)
            break
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline
    assert local_value(cluster, others[1]) == "meanwhile"
    assert local_value(cluster, alone) == "before"
    with pytest.raises(subprocess.CalledProcessError):
        put(cluster, alone, "lost", 2)
    cluster.join_again(alone)
    until_equal(cluster, alone, "meanwhile")


def test_a_killed_and_a_frozen_member_catch_up(cluster: EtcdCluster) -> None:
    for stop, again in ((cluster.kill, cluster.start), (cluster.freeze, cluster.thaw)):
        number = cluster.follower()
        stop(number)
        put(cluster, cluster.leader(), stop.__name__)
        again(number)
        until_equal(cluster, number, stop.__name__)


def test_users_are_told_apart_by_their_certificates(cluster: EtcdCluster) -> None:
    cluster.etcdctl("put", "/key", "x", user="zun-control")
    with pytest.raises(subprocess.CalledProcessError):
        cluster.etcdctl("put", "/key", "y", user="nobody")


def test_links_to_clients_can_be_cut_too(cluster: EtcdCluster) -> None:
    def ask() -> str:
        return cluster.etcdctl(
            "--command-timeout=2s", "get", "--print-value-only", "/key", endpoints=[cluster.far_endpoints[0]]
        )

    put(cluster, 0, "far")
    assert ask() == "far\n"
    cluster.cut_off(0, peers=False, clients=True)
    with pytest.raises(subprocess.CalledProcessError):
        ask()
    cluster.join_again(0)
    assert ask() == "far\n"
