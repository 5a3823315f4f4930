# SPDX-License-Identifier: Apache-2.0
"""Live things through an API server to nodes in processes of their own, with certificates: what a user does, and what breaks."""

import base64
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from support.certificates import TestAuthority
from support.roles import Api, Cluster, Role, cluster, create, running
from support.service import eventually

pytestmark = pytest.mark.etcd

HURRIED = "[node_streams]\nkeepalive_seconds = 0.5\nkeepalive_timeout_seconds = 0.5\nconnect_seconds = 1\n"
BROKEN_OFF = "returned without completing response"
"""The HTTP server's words for a stream that has no end because its node is gone."""

CAT = {"command": ["cat"], "interactive": True}


@dataclass
class House:
    """An API server, a controller and two nodes."""

    cluster: Cluster
    api: Api
    nodes: dict[str, Role]
    http: httpx.Client

    def container(self, **fields: Any) -> str:
        """A container that runs."""
        uuid = create(self.http, **({"command": ["sleep", "100000"]} | fields))
        running(self.http, uuid)
        return uuid

    def node_of(self, uuid: str) -> Role:
        return self.nodes[self.http.get(f"/v1/containers/{uuid}").json()["host"]]

    def console(self, granted: dict[str, Any]) -> ClientConnection:
        return connect(granted["proxy_url"], subprotocols=["zun.v1"], open_timeout=60)  # type: ignore[list-item]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("streams")
    authority = TestAuthority(directory / "authority")
    with cluster(directory) as made:
        authority.install_control(directory / "control")
        for name in ("n1", "n2"):
            authority.install_node(directory / name, name)
        api, controller = made.api("api", HURRIED), made.controller("controller")
        nodes = {name: made.compute(name, HURRIED) for name in ("n1", "n2")}
        for role in (api, controller, *nodes.values()):
            role.start()
        with api.client() as http:
            yield House(made, api, nodes, http)
        for role in (api, *nodes.values()):
            assert [line for line in role.complaints() if BROKEN_OFF not in line] == []


def test_a_log_is_followed_to_the_containers_end(house: House) -> None:
    uuid = house.container(command=["sh", "-c", "echo one; echo oops >&2; sleep 1; echo two"])
    path = f"/v1/containers/{uuid}/logs/stream"
    assert house.http.get(path, params={"follow": "true", "stderr": "false"}).content == b"one\ntwo\n"
    assert house.http.get(f"/v1/containers/{uuid}/logs").json() == "one\noops\ntwo\n"


def test_a_command_is_run_and_its_exit_code_told(house: House) -> None:
    uuid = house.container()
    body = {"command": ["sh", "-c", "printf out; exit 9"]}
    answer = house.http.post(f"/v1/containers/{uuid}/execute", json=body).json()
    assert (answer["output"], answer["exit_code"]) == ("out", 9)
    refused = house.http.post(f"/v1/containers/{uuid}/execute", json={"command": []})
    assert refused.status_code == 400


def test_a_console_of_a_command_takes_input_to_its_end_and_tells_the_exit_code(house: House) -> None:
    uuid = house.container()
    body = {"command": ["cat"], "run": False, "interactive": True, "tty": False}
    granted = house.http.post(f"/v1/containers/{uuid}/execute", json=body).json()
    payload = bytes(range(256)) * 4096
    with house.console(granted) as socket:
        feeding = threading.Thread(target=_feed, args=(socket, payload))
        feeding.start()
        told: dict[int, bytes] = {}
        for message in socket:
            assert isinstance(message, bytes)
            told[message[0]] = told.get(message[0], b"") + message[1:]
        feeding.join(timeout=60)
    assert told[1] == payload
    assert json.loads(told[3])["exit_code"] == 0


def test_who_attaches_talks_to_the_process_and_resizes_its_terminal(house: House) -> None:
    uuid = house.container(command=["sh"], interactive=True, tty=True)
    url = house.http.get(f"/v1/containers/{uuid}/attach").json()
    with house.console({"proxy_url": url}) as socket:
        socket.send(b"\4" + json.dumps({"width": 99, "height": 44}).encode())
        size = {"w": 99, "h": 44}
        assert house.http.post(f"/v1/containers/{uuid}/resize", params=size).status_code == 200
        socket.send(b"\0stty size\n")
        assert b"44 99" in _until(socket, b"44 99")
        socket.send(b"\0exit 7\n")
        last = [message for message in socket if isinstance(message, bytes)][-1]
    assert json.loads(last[1:])["exit_code"] == 7


def test_files_are_copied_both_ways(house: House) -> None:
    uuid = house.container()
    content = bytes(range(256)) * 40_000
    path = f"/v1/containers/{uuid}/archive"
    put = house.http.put(path, params={"path": "/tmp"}, content=_tar("data.bin", content))
    assert put.status_code == 204, put.text
    with house.http.stream("GET", path, params={"path": "/tmp/data.bin"}) as answer:
        assert json.loads(base64.b64decode(answer.headers["x-zun-path-stat"]))["size"] == len(content)
        packed = b"".join(answer.iter_raw())
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.extractfile("data.bin")
        assert member is not None
        assert member.read() == content
    missing = house.http.get(path, params={"path": "/no/such/path"})
    assert (missing.status_code, missing.json()["errors"][0]["status"]) == (400, 400)


def test_figures_are_told(house: House) -> None:
    uuid = house.container(memory=64)
    assert house.http.get(f"/v1/containers/{uuid}/stats").json()["MEM USAGE(MiB)"]
    assert "PID" in house.http.get(f"/v1/containers/{uuid}/top").json()["Titles"]
    assert house.http.get("/v1/images/any/search").status_code in (200, 404)


def test_a_node_tells_where_its_streams_are_and_until_when_it_is_who_it_is(house: House) -> None:
    for role in house.nodes.values():
        assert "streams at 127.0.0.1:" in role.said()


def test_a_client_that_hangs_up_ends_the_nodes_side(house: House) -> None:
    uuid = house.container(**CAT)
    limit = 100  # of one container; see [node_streams]
    for _ in range(limit + 10):
        with house.http.stream("GET", f"/v1/containers/{uuid}/logs/stream", params={"follow": "true"}) as answer:
            assert answer.status_code == 200


def test_a_frozen_node_ends_its_streams_and_no_others_and_serves_again(house: House) -> None:
    there, here = _one_on_each(house)
    frozen = house.node_of(there)
    told = {}

    def follow(name: str, uuid: str) -> None:
        try:
            with house.http.stream("GET", f"/v1/containers/{uuid}/logs/stream", params={"follow": "true"}) as answer:
                told[name] = answer.read()
        except httpx.RemoteProtocolError as error:
            told[name] = error

    followers = {
        name: threading.Thread(target=follow, args=(name, uuid))
        for name, uuid in {"there": there, "here": here}.items()
    }
    for follower in followers.values():
        follower.start()
    eventually(lambda: _followers(house, there) and _followers(house, here), "both are followed")
    frozen.freeze()
    try:
        followers["there"].join(timeout=60)
        assert isinstance(told["there"], httpx.RemoteProtocolError), told
        refused = house.http.get(f"/v1/containers/{there}/stats")
        assert refused.status_code == 503, refused.text
        assert frozen.name in refused.json()["errors"][0]["detail"]
        assert house.http.get(f"/v1/containers/{here}/stats").status_code == 200
        assert followers["here"].is_alive()
    finally:
        frozen.thaw()
    eventually(lambda: house.http.get(f"/v1/containers/{there}/stats").status_code == 200, "it serves again")
    house.http.post(f"/v1/containers/{here}/kill", params={"signal": "KILL"})
    followers["here"].join(timeout=60)
    assert told["here"] == b""


def test_a_lost_node_is_a_503_that_names_it_and_when_it_is_back_all_works(house: House) -> None:
    uuid = house.container()
    node = house.node_of(uuid)
    node.kill()
    said = house.http.get(f"/v1/containers/{uuid}/stats")
    assert said.status_code == 503
    assert node.name in said.json()["errors"][0]["detail"]
    eventually(lambda: house.http.get(f"/v1/containers/{uuid}").json()["status"] == "Unknown", "it is lost")
    for path in ("logs", "top", "stats"):
        lost = house.http.get(f"/v1/containers/{uuid}/{path}")
        assert lost.status_code == 503
        assert node.name in lost.json()["errors"][0]["detail"]
    node.start()
    again = house.container()
    eventually(lambda: house.http.get(f"/v1/containers/{again}/stats").status_code == 200, "it serves")


def test_without_certificates_processes_of_one_machine_reach_each_other_and_say_so_when_not(tmp_path: Path) -> None:
    with cluster(tmp_path) as made:
        api, controller, node = made.api("api"), made.controller("controller"), made.compute("plain")
        for role in (api, controller, node):
            role.start()
        with api.client() as http:
            uuid = create(http, command=["sh", "-c", "echo hello; sleep 100000"])
            running(http, uuid)
            assert http.get(f"/v1/containers/{uuid}/logs").json() == "hello\n"
        beyond = made.compute("beyond", "[compute]\nstream_listen = 0.0.0.0:0\n")
        beyond.begin()
        eventually(lambda: "stream_listen = 0.0.0.0:0" in beyond.said(), "it refuses to start")


def _followers(house: House, uuid: str) -> bool:
    return house.http.get(f"/v1/containers/{uuid}/stats").status_code == 200


def _one_on_each(house: House) -> tuple[str, str]:
    """Two containers on two nodes."""
    found: dict[str, str] = {}
    while len(found) < 2:
        uuid = house.container(**CAT)
        found[house.node_of(uuid).name] = uuid
    return found["n1"], found["n2"]


def _feed(socket: ClientConnection, payload: bytes) -> None:
    for at in range(0, len(payload), 65536):
        socket.send(b"\0" + payload[at : at + 65536])
    socket.send(b"\5")


def _until(socket: ClientConnection, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        message = socket.recv(timeout=60)
        assert isinstance(message, bytes)
        seen += message[1:]
    return seen


def _tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
