# SPDX-License-Identifier: Apache-2.0
"""While etcd is stopped, or frozen with its connections open: reads show what was last known and say so, changes are refused, what flows from
nodes flows on; and everything goes on by itself afterwards."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from support.etcd_server import EtcdServer
from support.roles import Api, Cluster, Role, cluster, create, running, shown
from support.service import eventually
from zun.store.view import AWAY

pytestmark = pytest.mark.etcd

WARNING = '110 - "The store is away: this is what was last known"'
SMALL: dict[str, Any] = {"image": "alpine", "cpu": 0.1, "memory": "64"}
CAT: dict[str, Any] = {"command": ["cat"], "interactive": True}


@dataclass
class House:
    """All roles, and a container that repeats what it is told."""

    cluster: Cluster
    api: Api
    roles: list[Role]
    http: httpx.Client
    uuid: str

    @property
    def one(self) -> str:
        return f"/v1/containers/{self.uuid}"

    def away(self) -> None:
        """Wait until the API server has noticed."""
        eventually(lambda: "Warning" in self.http.get(self.one).headers, "the store's absence is noticed")

    def surely_away(self) -> None:
        """Wait until it knows that the store is not merely slow: then it refuses by itself."""
        self.away()
        history = f"{self.one}/container_actions"
        eventually(lambda: AWAY in self.http.get(history).text, "what needs the store is refused at once")

    def back(self) -> None:
        """Wait until it follows again."""
        eventually(lambda: "Warning" not in self.http.get(self.one).headers, "the store is back")
        again = create(self.http, **SMALL)
        running(self.http, again)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with cluster(tmp_path_factory.mktemp("away")) as made:
        api = made.api("api")
        roles: list[Role] = [api, made.controller("controller"), made.compute("n1")]
        for role in roles:
            role.start()
        with api.client() as http:
            uuid = create(http, name="parrot", **CAT)
            running(http, uuid)
            registry = {"registry": {"name": "ours", "domain": "registry.example"}}
            assert http.post("/v1/registries", json=registry).status_code == 201
            yield House(made, api, roles, http, uuid)
        for role in roles:
            assert role.complaints() == []


@contextmanager
def killed(etcd: EtcdServer) -> Iterator[None]:
    etcd.kill()
    try:
        yield
    finally:
        etcd.start()


@contextmanager
def frozen(etcd: EtcdServer) -> Iterator[None]:
    etcd.freeze()
    try:
        yield
    finally:
        etcd.thaw()


WAYS = {"killed": killed, "frozen": frozen}
away_somehow = pytest.mark.parametrize("way", WAYS)

READS = [
    "/v1/containers",
    "/v1/containers/parrot",
    "{one}",
    "{one}/network_list",
    "{one}/stats",
    "{one}/top",
    "{one}/logs",
    "/v1/images",
    "/v1/hosts",
    "/v1/hosts/n1",
    "/v1/services",
    "/v1/nodes",
    "/v1/nodes/n1",
    "/v1/availability_zones",
    "/v1/registries",
    "/v1/registries/ours",
    "/v1/quotas/shop",
]
NEEDS_THE_STORE: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/containers", {"json": SMALL}),
    ("POST", "{one}/stop", {}),
    ("POST", "{one}/kill", {}),
    ("POST", "{one}/rebuild", {}),
    ("POST", "{one}/commit", {"params": {"repository": "mine"}}),
    ("POST", "{one}/network_detach", {"params": {"network": "bridge"}}),
    ("PATCH", "{one}", {"json": {"memory": "64"}}),
    ("DELETE", "{one}", {"params": {"stop": "true"}}),
    ("GET", "{one}/container_actions", {}),
    ("GET", "{one}/attach", {}),
    ("POST", "{one}/execute", {"params": {"command": "sh", "run": "false", "interactive": "true"}}),
    ("POST", "/v1/images", {"json": {"repo": "busybox", "host": "n1"}}),
    ("PUT", "/v1/services/disable", {"params": {"host": "n1", "binary": "zun-compute"}}),
    ("POST", "/v1/nodes/n1/drain", {}),
    ("POST", "/v1/registries", {"json": {"registry": {"name": "theirs", "domain": "other.example"}}}),
    ("PUT", "/v1/quotas/shop", {"json": {"containers": 5}}),
]


@away_somehow
def test_reads_show_what_was_last_known_and_say_so(house: House, way: str) -> None:
    before = {path: house.http.get(path.format(one=house.one)) for path in READS}
    with WAYS[way](house.cluster.etcd):
        house.away()
        for path in READS:
            answer = house.http.get(path.format(one=house.one))
            assert answer.status_code == before[path].status_code == 200, (path, answer.text)
            assert answer.headers["Warning"] == WARNING, path
        for path in ("/", "/v1", "/v1/openapi.json", "/metrics"):
            assert "Warning" not in house.http.get(path).headers, path
    house.back()
    for path in READS:
        assert "Warning" not in house.http.get(path.format(one=house.one)).headers


@away_somehow
def test_what_needs_the_store_is_refused_and_changes_nothing(house: House, way: str) -> None:
    before = shown(house.http, house.uuid)
    with WAYS[way](house.cluster.etcd):
        house.surely_away()
        for method, path, request in NEEDS_THE_STORE:
            answer = house.http.request(method, path.format(one=house.one), **request)
            assert answer.status_code == 503, (path, answer.text)
            assert AWAY in answer.json()["errors"][0]["detail"], path
    house.back()
    after = shown(house.http, house.uuid)
    assert after == before | {"status_detail": after["status_detail"]}
    actions = house.http.get(f"{house.one}/container_actions").json()["containerActions"]
    assert [one["action"] for one in actions] == ["create"]
    assert len(house.http.get("/v1/registries").json()["registries"]) == 1


@away_somehow
def test_a_command_runs_though_nobody_knew_yet_that_the_store_is_away(house: House, way: str) -> None:
    with WAYS[way](house.cluster.etcd):
        params = {"command": "printf hello", "run": "true", "interactive": "false"}
        answer = house.http.post(f"{house.one}/execute", params=params)
        assert (answer.status_code, answer.json()["output"]) == (200, "hello"), answer.text
        tar = house.http.get(f"{house.one}/get_archive", params={"path": "/etc"})
        assert tar.status_code == 200
    house.back()


@away_somehow
def test_what_flows_goes_on(house: House, way: str) -> None:
    granted = house.http.get(f"{house.one}/attach").json()
    with (
        connect(granted, subprotocols=["zun.v1"], open_timeout=60) as console,  # type: ignore[list-item]
        house.http.stream("GET", "/v1/watch") as watched,
    ):
        events = Events(watched)
        assert events.next() == "ready"
        said(console, b"before")
        with WAYS[way](house.cluster.etcd):
            house.away()
            said(console, b"during")
        house.back()
        said(console, b"after")
        assert events.next() == "changed"


@away_somehow
def test_everything_acknowledged_before_is_there_afterwards(house: House, way: str) -> None:
    made: list[str] = []
    stop = threading.Event()

    def creating() -> None:
        with house.api.client() as http:
            while not stop.wait(0.2):
                answer = http.post("/v1/containers", params={"run": "true"}, json=SMALL)
                if answer.status_code == httpx.codes.ACCEPTED:
                    made.append(answer.json()["uuid"])
                else:
                    assert answer.status_code in {503, 504}, answer.text

    thread = threading.Thread(target=creating)
    thread.start()
    try:
        eventually(lambda: len(made) > 5, "some are acknowledged")
        with WAYS[way](house.cluster.etcd):
            house.away()
        house.back()
        known = len(made)
        eventually(lambda: len(made) > known, "and some after it")
    finally:
        stop.set()
        thread.join()
    for uuid in made:
        assert shown(house.http, uuid)["status"] in {"Creating", "Created", "Running", "Stopped"}


def said(console: ClientConnection, words: bytes) -> None:
    """The container repeats what it is told."""
    console.send(b"\0" + words)
    heard = b""
    while words not in heard:
        message = console.recv(timeout=60)
        assert isinstance(message, bytes)
        assert message[:1] == b"\1", message
        heard += message[1:]


class Events:
    """Names of the events of a watch."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> str:
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                return value
            if name == "data":
                json.loads(value)
        raise AssertionError("the watch ended")
