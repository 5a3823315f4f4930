# SPDX-License-Identifier: Apache-2.0
"""What users of the whole service see when members of its etcd fail, or it is restored: pauses and clear answers, nothing else."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event

import httpx
import pytest

from support.etcd_cluster import EtcdCluster
from support.roles import Api, Cluster, Role, create, running, shown
from support.service import eventually

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


class Service:
    """The service's processes over three members with certificates and users."""

    def __init__(self, etcd: EtcdCluster, house: Cluster) -> None:
        self.etcd = etcd
        self.api: Api = house.api("api")
        self.roles: tuple[Role, ...] = (self.api, house.controller("controller"), house.compute("n1"))

    def start(self) -> None:
        """All processes."""
        for role in self.roles:
            role.start()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with EtcdCluster(tmp_path / "etcd", auth=True) as etcd, ExitStack() as stack:
        made = Service(etcd, Cluster(tmp_path, etcd, stack))
        made.start()
        yield made


def creating(client: httpx.Client, answers: list[int], enough: Event) -> tuple[set[str], set[str]]:
    """Ask for containers until told that it is enough: the names that were accepted, and those in doubt."""
    accepted: set[str] = set()
    in_doubt: set[str] = set()
    while not enough.is_set():
        name = f"c{len(answers)}"
        wish = {"image": "alpine", "command": ["sleep", "100000"], "name": name}
        answer = client.post("/v1/containers", params={"run": "true"}, json=wish)
        answers.append(answer.status_code)
        if answer.status_code == httpx.codes.ACCEPTED:
            accepted.add(name)
        elif answer.status_code == httpx.codes.GATEWAY_TIMEOUT:
            in_doubt.add(name)
    return accepted, in_doubt


def has_accepted(answers: list[int], enough: int) -> bool:
    return answers.count(202) > enough


def test_members_fail_one_after_the_other_and_every_container_that_was_accepted_runs(service: Service) -> None:
    etcd, enough, answers = service.etcd, Event(), list[int]()
    with service.api.client() as client, ThreadPoolExecutor() as threads:
        work: Future[tuple[set[str], set[str]]] = threads.submit(creating, client, answers, enough)
        try:
            for harm, heal in ((etcd.kill, etcd.start), (etcd.freeze, etcd.thaw), (etcd.cut_off, etcd.join_again)):
                number = etcd.leader()
                enough_then = answers.count(202) + 5
                harm(number)
                eventually(partial(has_accepted, answers, enough_then), f"creates go on after {harm.__name__}")
                heal(number)
        finally:
            enough.set()
        accepted, in_doubt = work.result(60)
        assert set(answers) <= {202, 503, 504}
        found = client.get("/v1/containers").json()["containers"]
        names = [one["name"] for one in found]
        assert len(names) == len(set(names))
        assert accepted <= set(names) <= accepted | in_doubt
        for one in found:
            running(client, one["uuid"])


def test_without_a_majority_changes_are_refused_and_reads_say_that_they_are_old(service: Service) -> None:
    with service.api.client() as client:
        uuid = create(client, name="known")
        running(client, uuid)
        for number in (0, 1):
            service.etcd.kill(number)
        refused = client.post("/v1/containers", json={"image": "alpine"})
        assert refused.status_code in (503, 504), refused.text
        answer = client.get(f"/v1/containers/{uuid}")
        assert answer.json()["name"] == "known"
        assert "Warning" in answer.headers
        assert client.post("/v1/containers", json={"image": "alpine"}).status_code == 503
        service.etcd.start_all()
        eventually(lambda: "Warning" not in client.get(f"/v1/containers/{uuid}").headers, "reads are fresh again")
        running(client, create(client, name="after"))
        assert shown(client, uuid)["status"] == "Running"


def test_processes_that_run_over_a_restore_end_and_begin_again_with_what_was_saved(
    service: Service, tmp_path: Path
) -> None:
    with service.api.client() as client:
        running(client, create(client, name="kept"))
        service.etcd.backup(tmp_path / "backup")
        running(client, create(client, name="lost"))
    service.etcd.restore(tmp_path / "backup", token="restored")
    for role in service.roles:
        assert role.ends() != 0
        assert "restart this process" in role.said()
    service.start()
    with service.api.client() as client:
        assert [one["name"] for one in client.get("/v1/containers").json()["containers"]] == ["kept"]
        running(client, create(client, name="after"))
