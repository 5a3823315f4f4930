# SPDX-License-Identifier: Apache-2.0
"""Old and new processes side by side: what a newer one said is kept by an older one, and one process after the other is replaced in use."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.etcd_server import EtcdServer
from support.roles import Api, Cluster, Role, cluster, create, running, shown
from support.service import eventually
from zun.base.clock import SystemClock
from zun.store import keys
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Put, unchanged

pytestmark = pytest.mark.etcd

NEWER = {"shape": "of things to come"}
SMALL: dict[str, Any] = {"cpu": 0.1, "memory": "64"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


def changed(etcd: EtcdServer, key: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Rewrite a record as another process does; gives what it holds then."""

    async def rewrite() -> dict[str, Any]:
        store = await EtcdStore.connect(etcd.client_options(), SystemClock())
        try:
            while True:
                found = await store.get(key)
                assert found is not None, key
                record: dict[str, Any] = json.loads(found.value)
                before = json.dumps(record)
                change(record)
                if json.dumps(record) == before:
                    return record
                put = Put(key, json.dumps(record).encode())
                if (await store.transact([unchanged(key, found.mod_revision)], [put])).succeeded:
                    return record
        finally:
            await store.close()

    return asyncio.run(rewrite())


def held(etcd: EtcdServer, key: str) -> dict[str, Any]:
    return changed(etcd, key, lambda _: None)


def grown(record: dict[str, Any]) -> None:
    """A record of a version to come: it has a member more, and so have the records in it that are known today."""
    record["newer"] = NEWER
    for name in ("spec", "claim"):
        if name in record:
            record[name]["newer"] = NEWER


def test_what_a_newer_process_wrote_survives_all_that_older_ones_do_with_it(house: Cluster) -> None:
    api = house.api("api")
    for role in (api, house.controller("controller"), house.compute("n1")):
        role.start()
    with api.client() as client:
        uuid = create(client, name="kept")
        project = running(client, uuid)["project_id"]
        records = [keys.container(uuid), keys.place(uuid), keys.quota(project), keys.node("n1")]
        for key in records:
            changed(house.etcd, key, grown)

        assert (
            client.patch(f"/v1/containers/{uuid}", json={"memory": "128", "name": "renamed"}).status_code
            == httpx.codes.OK
        )
        eventually(lambda: shown(client, uuid)["memory"] == "128", "its limits are changed")
        assert client.post(f"/v1/containers/{uuid}/stop").status_code == httpx.codes.ACCEPTED
        eventually(lambda: shown(client, uuid)["status"] == "Stopped", "it is stopped")
        assert client.post(f"/v1/containers/{uuid}/start").status_code == httpx.codes.ACCEPTED
        running(client, uuid)
        for verb in ("disable", "enable"):
            client.put(f"/v1/services/{verb}", params={"host": "n1", "binary": "zun-compute"}).raise_for_status()
        other = create(client, name="other")
        running(client, other)
        assert client.delete(f"/v1/containers/{other}", params={"stop": "true"}).status_code == httpx.codes.NO_CONTENT
        eventually(lambda: client.get(f"/v1/containers/{other}").status_code == httpx.codes.NOT_FOUND, "it is gone")

        for key in (*records, keys.inbox("n1", uuid)):
            assert held(house.etcd, key)["newer"] == NEWER, key
        assert held(house.etcd, keys.container(uuid))["spec"]["newer"] == NEWER
        assert held(house.etcd, keys.place(uuid))["claim"]["newer"] == NEWER
        assert held(house.etcd, keys.inbox("n1", uuid))["spec"]["newer"] == NEWER
        assert shown(client, uuid)["name"] == "renamed"


def test_processes_are_replaced_one_after_the_other_while_people_work(house: Cluster) -> None:
    apis = house.api("api-1"), house.api("api-2")
    controllers = house.controller("controller-1"), house.controller("controller-2")
    node = house.compute("n1")
    control_plane: list[Role] = [*controllers, *apis]  # in the order of the operator guide
    for role in (*control_plane, node):
        role.start()
    accepted: list[str] = []
    enough = threading.Event()
    worker = threading.Thread(target=_work, args=(apis, accepted, enough))
    worker.start()
    try:
        for role in control_plane:
            _replace(role, accepted)
    finally:
        enough.set()
        worker.join(timeout=60)
    with apis[0].client() as client:
        for uuid in accepted:
            running(client, uuid)
        _replace(
            node, None
        )  # a made-up engine ends with it; that containers of a real one run on is tested with that one
        running(client, create(client, **SMALL))
        findings = client.get("/v1/doctor").json()["findings"]
    assert [one for one in findings if one["severity"] == "error"] == []


def _replace(role: Role, accepted: list[str] | None) -> None:
    """Stop a process and start the next one; work goes on meanwhile and afterwards."""
    before = len(accepted or [])
    assert role.stop() == 0
    role.start()
    if accepted is not None:
        eventually(lambda: len(accepted) > before + 2, f"people work on after {role.name}")


def _work(apis: tuple[Api, Api], accepted: list[str], enough: threading.Event) -> None:
    """Have containers made by whichever API server answers, as a balancer would choose."""
    wish = {"image": "alpine", "command": ["sleep", "100000"], **SMALL}
    while not enough.wait(0.1):
        for api in apis:
            try:
                with api.client() as client:
                    answer = client.post("/v1/containers", params={"run": "true"}, json=wish)
            except httpx.TransportError:
                continue
            assert answer.status_code == httpx.codes.ACCEPTED, answer.text
            accepted.append(str(answer.json()["uuid"]))
            break
