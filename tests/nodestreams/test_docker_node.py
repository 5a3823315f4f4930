# SPDX-License-Identifier: Apache-2.0
"""Live things of real containers on a node in a process of its own: whole, in order, and with little memory in between."""

import base64
import hashlib
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

from support import docker_engine
from support.certificates import TestAuthority
from support.roles import Api, Role, cluster, create, running
from support.service import eventually
from support.stage import IMAGE
from support.stream_process import MIB, Memory

pytestmark = [pytest.mark.docker, pytest.mark.etcd]

ROOM = 48 * MIB
"""What a large stream may take of either process's memory on top of what it held before."""

LINE = b"0123456789012345678901234567890123456789012345678901234567890123456789012345678\n"
LINES = 100_000


@dataclass
class House:
    """An API server and a node with a real engine."""

    api: Api
    node: Role
    http: httpx.Client

    def container(self, *command: str, **fields: Any) -> str:
        """A container that runs."""
        body = {"image": IMAGE, "command": list(command), "memory": 64, "cpu": 1}
        uuid = create(self.http, **body, **fields)
        running(self.http, uuid)
        return uuid

    def memory(self) -> list[Memory]:
        """Of both processes."""
        return [Memory(role.pid) for role in (self.api, self.node)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine: run scripts/ensure-docker and scripts/build-image")
    directory = tmp_path_factory.mktemp("docker")
    authority = TestAuthority(directory / "authority")
    with cluster(directory) as made:
        authority.install_control(directory / "control")
        authority.install_node(directory / "real", "real")
        api, controller = made.api("api"), made.controller("controller")
        node = made.compute("real", "[docker]\nlog_mib = 0\n", runtime="docker")
        try:
            for role in (api, controller, node):
                role.start()
            with api.client() as http:
                yield House(api, node, http)
        finally:
            node.close()
            docker_engine.remove_owned(json.loads((directory / "real" / "node.json").read_text())["owner"])


@pytest.fixture(scope="module")
def shared(house: House) -> str:
    """A container that no test changes."""
    return house.container("sleep", "100000")


def test_a_long_log_is_followed_to_its_last_line(house: House) -> None:
    uuid = house.container("sh", "-c", f"sleep 1; yes {LINE.decode().strip()} | head -n {LINES}; echo oops >&2")
    digest, got = hashlib.sha256(), 0
    query = {"follow": "true", "stderr": "false"}
    with house.http.stream("GET", f"/v1/containers/{uuid}/logs/stream", params=query, timeout=120) as answer:
        for piece in answer.iter_raw():
            digest.update(piece)
            got += len(piece)
    assert got == LINES * len(LINE)
    assert digest.digest() == hashlib.sha256(LINE * LINES).digest()


def test_a_command_ends_with_its_code_and_a_missing_program_says_so(house: House, shared: str) -> None:
    path = f"/v1/containers/{shared}/execute"
    told = house.http.post(
        path, json={"command": ["sh", "-c", "echo $WHO; exit 9"], "environment": {"WHO": "me"}}
    ).json()
    assert (told["output"], told["exit_code"]) == ("me\n", 9)
    assert house.http.post(path, params={"command": "no-such-program"}).json()["exit_code"] in (126, 127)


def test_a_console_takes_a_megabyte_and_gives_it_back(house: House, shared: str) -> None:
    body = {"command": ["sh", "-c", "cat; echo oops >&2; exit 3"], "run": False, "interactive": True, "tty": False}
    granted = house.http.post(f"/v1/containers/{shared}/execute", json=body).json()
    payload = bytes(range(256)) * 4096
    with console(granted["proxy_url"]) as socket:
        feeding = threading.Thread(target=feed, args=(socket, payload))
        feeding.start()
        told = channels(socket)
        feeding.join(timeout=60)
    assert (told[1], told[2]) == (payload, b"oops\n")
    assert json.loads(told[3])["exit_code"] == 3


def test_who_attaches_before_the_start_misses_nothing_and_types_into_a_terminal(house: House) -> None:
    command = ["sh", "-c", "echo ready; read line; echo got $line; stty size; exit 7"]
    uuid = house.http.post(
        "/v1/containers",
        params={"run": "false"},
        json={"image": IMAGE, "command": command, "interactive": True, "tty": True, "memory": 32, "cpu": 0.1},
    ).json()["uuid"]
    eventually(lambda: house.http.get(f"/v1/containers/{uuid}").json()["status"] == "Created", "it is made")
    url = house.http.get(f"/v1/containers/{uuid}/attach", params={"before_start": "true"}).json()
    with console(url) as socket:
        assert house.http.post(f"/v1/containers/{uuid}/start").status_code == 202
        first = socket.recv(timeout=60)
        assert isinstance(first, bytes)
        assert b"ready" in first
        eventually(
            lambda: house.http.post(f"/v1/containers/{uuid}/resize", params={"w": 91, "h": 31}).status_code == 200,
            "its terminal has a size",
        )
        socket.send(b"\0hello\n")
        told = channels(socket)
    assert b"got hello" in told[1]
    assert b"31 91" in told[1]
    assert json.loads(told[3])["exit_code"] == 7


def test_a_hundred_megabytes_go_in_and_come_out_unchanged_with_little_memory(house: House, shared: str) -> None:
    size, block = 100 * MIB, hashlib.sha256(b"block").digest() * 2048

    def packed() -> Iterator[bytes]:
        member = tarfile.TarInfo("blob")
        member.size = size
        yield member.tobuf()
        for _ in range(size // len(block)):
            yield block
        yield bytes(1024)

    path, grown = f"/v1/containers/{shared}/archive", house.memory()
    put = house.http.put(path, params={"path": "/root"}, content=packed())
    assert put.status_code == 204, put.text
    file = Path("/root/blob")
    digest, got = hashlib.sha256(), 0
    with house.http.stream("GET", path, params={"path": str(file)}) as answer:
        assert json.loads(base64.b64decode(answer.headers["x-zun-path-stat"]))["size"] == size
        for piece in answer.iter_raw():
            digest.update(piece[max(0, 512 - got) :][: max(0, size + 512 - max(got, 512))])
            got += len(piece)
    assert digest.digest() == hashlib.sha256(block * (size // len(block))).digest()
    assert [memory.grown() < ROOM for memory in grown] == [True, True]


def test_figures_are_the_containers_own(house: House, shared: str) -> None:
    assert 0 < house.http.get(f"/v1/containers/{shared}/stats").json()["MEM LIMIT(MiB)"] <= 64
    told = house.http.get(f"/v1/containers/{shared}/top").json()
    assert any("sleep" in " ".join(process) for process in told["Processes"])


def console(url: str) -> ClientConnection:
    """Open a console."""
    return connect(url, subprotocols=["zun.v1"], open_timeout=60)  # type: ignore[list-item]


def feed(socket: ClientConnection, payload: bytes) -> None:
    """Send everything, then the end of input."""
    for at in range(0, len(payload), 65536):
        socket.send(b"\0" + payload[at : at + 65536])
    socket.send(b"\5")


def channels(socket: ClientConnection) -> dict[int, bytes]:
    """All that a console says, by channel."""
    told: dict[int, bytes] = {1: b"", 2: b""}
    for message in socket:
        assert isinstance(message, bytes)
        told[message[0]] = told.get(message[0], b"") + message[1:]
    return told
