# SPDX-License-Identifier: Apache-2.0
"""One request's lines are found in the logs of every process that worked for it, and no secret is in any of them."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.roles import Api, Cluster, Role, cluster, create, running
from support.service import eventually

pytestmark = pytest.mark.etcd

JSON = "[log]\nformat = json\n"
DEBUG = "[log]\nlevel = debug\n"
SECRETS = {"environment": "seen-by-nobody-1", "file": "seen-by-nobody-2", "password": "seen-by-nobody-3"}


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An etcd."""
    with cluster(tmp_path_factory.mktemp("followed")) as made:
        yield made


def started(house: Cluster, settings: str) -> tuple[Api, Role, Role]:
    """One process of each role."""
    roles = house.api("api", settings), house.controller("controller", settings), house.compute("n1", settings)
    for role in roles:
        role.start()
    return roles


def lines_of(role: Role, request_id: str) -> list[dict[str, Any]]:
    """The lines of a JSON log that concern a request."""
    lines = [json.loads(line) for line in role.said().splitlines()]
    return [line for line in lines if line.get("request_id") == request_id]


def test_one_create_and_its_delete_are_found_in_the_logs_of_all_three_roles(house: Cluster) -> None:
    roles = api, controller, compute = started(house, JSON)
    with api.client() as client:
        answer = client.post(
            "/v1/containers", params={"run": "true"}, json={"image": "alpine", "command": ["sleep", "9999"]}
        )
        uuid, asked = answer.json()["uuid"], answer.headers["x-openstack-request-id"]
        running(client, uuid)
        for role in roles:
            eventually(lambda role=role: lines_of(role, asked), f"{role.name} tells of the create")
        assert any("goes to node n1" in line["message"] for line in lines_of(controller, asked))
        assert any("start is done" in line["message"] for line in lines_of(compute, asked))
        answer = client.delete(f"/v1/containers/{uuid}", params={"force": "true"})
        asked = answer.headers["x-openstack-request-id"]
        for role in roles:
            eventually(lambda role=role: lines_of(role, asked), f"{role.name} tells of the delete")


def test_what_a_node_does_about_an_image_is_found_by_its_request(house: Cluster) -> None:
    api, _, compute = started(house, JSON)
    with api.client() as client:
        answer = client.post("/v1/images", json={"repo": "nowhere.invalid/none:1", "host": "n1"})
        assert answer.status_code == 202, answer.text
        asked = answer.headers["x-openstack-request-id"]
        eventually(lambda: lines_of(compute, asked), "the node tells of the pull")


def test_a_call_to_a_node_is_found_by_its_request_on_the_node(house: Cluster) -> None:
    api, _, compute = started(house, "[log]\nformat = json\nlevel = debug\n")
    with api.client() as client:
        uuid = create(client)
        running(client, uuid)
        answer = client.get(f"/v1/containers/{uuid}/stats")
        assert answer.status_code == 200, answer.text
        assert lines_of(compute, answer.headers["x-openstack-request-id"])


def test_no_secret_is_in_a_log_however_much_is_logged(house: Cluster) -> None:
    roles = api, _, _ = started(house, DEBUG)
    with api.client() as client:
        registry = {"domain": "registry.invalid", "username": "u", "password": SECRETS["password"], "name": "mine"}
        made = client.post("/v1/registries", json={"registry": registry})
        assert made.status_code == 201, made.text
        content = base64.b64encode(SECRETS["file"].encode()).decode()
        mounts = [{"type": "bind", "source": content, "destination": "/etc/secret"}]
        uuid = create(client, environment={"KEY": SECRETS["environment"]}, mounts=mounts)
        running(client, uuid)
        login = create(client, image="registry.invalid/app:1", registry="mine")
        eventually(
            lambda: client.get(f"/v1/containers/{login}").json()["status"] in {"Error", "Running"}, "it was tried"
        )
        token = client.headers["X-Auth-Token"]
    for role in roles:
        told = role.said()
        assert [name for name, secret in SECRETS.items() if secret in told] == []
        assert token not in told
