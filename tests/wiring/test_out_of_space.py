# SPDX-License-Identifier: Apache-2.0
"""What users and operators see when etcd, or the disk of a node, is full: refusals that say so, nothing lost, and all goes on with space."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.etcd_cluster import EtcdCluster
from support.roles import Cluster, Role, cluster, create, running, shown
from support.service import eventually
from zun.base.clock import SystemClock
from zun.model.errors import Timeout, Unavailable
from zun.store.etcd.store import EtcdStore
from zun.store.interface import DeletePrefix, Put

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

REFUSED = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT}
FILLER = "/zun/v/filler/"
"""Where all views look: a revision that they never hear of would keep readers waiting."""

DISK_MIB = 16


def found_by_the_doctor(client: httpx.Client, words: str) -> list[dict[str, Any]]:
    findings = client.get("/v1/doctor").json()["findings"]
    return [one for one in findings if words in one["what"]]


def in_etcd(etcd: EtcdCluster, *, full: bool) -> None:
    """Let something else fill it, or take that away again as the operator guide says."""

    async def change() -> None:
        store = await EtcdStore.connect(etcd.client_options(), SystemClock())
        try:
            if full:
                for number in range(1000):
                    with suppress(Timeout):  # for a moment it is in doubt; then it is sure
                        await store.transact([], [Put(f"{FILLER}{number}", bytes(500_000))])
                raise AssertionError("it never was full")
            await store.transact([], [DeletePrefix(FILLER)])
            await store.compact(await store.revision())
        except Unavailable:
            assert full
        finally:
            await store.close()

    asyncio.run(change())
    if not full:
        for endpoint in etcd.endpoints:
            etcd.etcdctl("defrag", endpoints=[endpoint])
        etcd.etcdctl("alarm", "disarm")


def test_a_full_etcd_refuses_changes_shows_everything_and_loses_nothing(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path / "etcd", size=1, quota_bytes=16 * 2**20) as etcd, ExitStack() as stack:
        house = Cluster(tmp_path, etcd, stack)
        api = house.api("api")
        roles: list[Role] = [api, house.controller("controller"), house.compute("n1")]
        for role in roles:
            role.start()
        with api.client() as client:
            kept = create(client, name="kept")
            running(client, kept)
            in_etcd(etcd, full=True)

            wish = {"image": "alpine", "name": "refused"}
            for answer in (
                client.post("/v1/containers", params={"run": "true"}, json=wish),
                client.post(f"/v1/containers/{kept}/stop"),
                client.delete(f"/v1/containers/{kept}", params={"stop": "true"}),
            ):
                assert answer.status_code in REFUSED, answer.text
                assert "space" in answer.json()["errors"][0]["detail"]
            listed = client.get("/v1/containers")
            assert [(one["name"], one["status"]) for one in listed.json()["containers"]] == [("kept", "Running")]
            assert "Warning" not in listed.headers
            ran = client.post(f"/v1/containers/{kept}/execute", params={"command": "printf hello", "run": "true"})
            assert ran.status_code == httpx.codes.OK, ran.text
            (full,) = found_by_the_doctor(client, "is full and takes no changes")
            assert (full["severity"], full["about"]) == ("error", "store")
            assert "alarm disarm" in full["advice"]

            in_etcd(etcd, full=False)
            history = f"/v1/containers/{kept}/container_actions"
            eventually(
                lambda: client.get(history).status_code == httpx.codes.OK, "it is back: giving space back takes time"
            )
            running(client, create(client, name="after"))
            assert shown(client, kept)["status"] == "Running"
            assert {one["name"] for one in client.get("/v1/containers").json()["containers"]} == {"kept", "after"}
            assert found_by_the_doctor(client, "is full") == []


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of its own at `place`; gives the file that takes all of its room when it is written."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "tmpfs", place], check=True, timeout=30)
    try:
        yield place / "filler"
    finally:
        subprocess.run(["umount", "--lazy", place], check=True, timeout=30)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            return


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_node_whose_disk_is_full_says_so_to_who_asks_for_something_and_keeps_what_runs(tmp_path: Path) -> None:
    told = "[compute]\npublish_seconds = 1\nlook_seconds = 1\n[doctor]\nstate_free_mib = 2\n"
    with small_disk(tmp_path / "n1") as filler, cluster(tmp_path) as house:
        api, node = house.api("api", told), house.compute("n1", told)
        for role in (api, house.controller("controller"), node):
            role.start()
        with api.client() as client:
            kept = create(client, name="kept")
            running(client, kept)
            fill(filler)

            refused = create(client, name="refused")
            failed = eventually(lambda: _in_error(client, refused), "it is told that it cannot be made")
            assert "No space left on device. Make room" in failed["status_reason"]
            eventually(lambda: found_by_the_doctor(client, "the state directory of node n1 has 0 MiB"), "it is found")
            assert shown(client, kept)["status"] == "Running"
            ran = client.post(f"/v1/containers/{kept}/execute", params={"command": "printf hello", "run": "true"})
            assert ran.status_code == httpx.codes.OK, ran.text

            filler.unlink()
            assert client.post(f"/v1/containers/{refused}/start").status_code == httpx.codes.ACCEPTED
            running(client, refused)
            running(client, create(client, name="after"))
            assert shown(client, kept)["status"] == "Running"
            eventually(lambda: not found_by_the_doctor(client, "the state directory of node n1"), "it has room again")


def _in_error(client: httpx.Client, uuid: str) -> dict[str, Any] | None:
    found = shown(client, uuid)
    return found if found["status"] == "Error" else None
