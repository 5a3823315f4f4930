# SPDX-License-Identifier: Apache-2.0
"""Live things across machines, through the balancer, with nodes that are cut off and frozen."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from lab.cluster import Cluster
from support.service import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

IMAGE = "zun.local/busybox:latest"
TICKS = ["sh", "-c", "while :; do echo tick; sleep 0.2; done"]


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    """Asks the API as a user on the host does."""
    token = json.loads((cluster.directory / "local.json").read_text())["token"]
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "container 1.40"}
    with httpx.Client(base_url=cluster.url, headers=headers, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def ticking(client: httpx.Client) -> dict[str, str]:
    """A container that talks, on each of two nodes."""
    found: dict[str, str] = {}
    while len(found) < 2:
        body = {"image": IMAGE, "command": TICKS, "memory": 16, "cpu": 0.1}
        uuid = client.post("/v1/containers", params={"run": "true"}, json=body).json()["uuid"]
        eventually(lambda uuid=uuid: client.get(f"/v1/containers/{uuid}").json()["status"] == "Running", "it runs")
        found[client.get(f"/v1/containers/{uuid}").json()["host"]] = uuid
    return found


class Follower(threading.Thread):
    """Follows a log until it ends or breaks off."""

    def __init__(self, client: httpx.Client, uuid: str) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._uuid = uuid
        self.heard = 0
        self.broke_off = False
        self.start()
        eventually(lambda: self.heard, "it hears something")

    def run(self) -> None:
        path = f"/v1/containers/{self._uuid}/logs/stream"
        try:
            with self._client.stream("GET", path, params={"follow": "true", "tail": 1}) as answer:
                for piece in answer.iter_raw():
                    self.heard += len(piece)
        except httpx.RemoteProtocolError:
            self.broke_off = True
        except httpx.TransportError:
            return  # the test is over


def test_what_a_container_says_and_does_is_seen_from_every_api_server(
    client: httpx.Client, ticking: dict[str, str]
) -> None:
    for host, uuid in ticking.items():
        for _ in range(4):  # the balancer gives them to both API servers in turns
            ran = client.post(
                f"/v1/containers/{uuid}/execute", json={"command": ["sh", "-c", "echo hi; exit 3"]}
            ).json()
            assert (ran["output"], ran["exit_code"]) == ("hi\n", 3), host
            assert client.get(f"/v1/containers/{uuid}/logs", params={"tail": 1}).json() == "tick\n"
            assert "PID" in client.get(f"/v1/containers/{uuid}/top").json()["Titles"]


@pytest.mark.parametrize("hurt", ["cut", "freeze"])
def test_a_node_that_is_not_heard_of_ends_its_streams_and_no_others(
    cluster: Cluster, client: httpx.Client, ticking: dict[str, str], hurt: str
) -> None:
    (there, gone), (_, here) = ticking.items()
    theirs, ours = Follower(client, gone), Follower(client, here)
    if hurt == "cut":
        cluster.cut(there)
    else:
        cluster.freeze(f"{there}/compute")
    try:
        theirs.join(timeout=60)
        assert theirs.broke_off
        refused = client.get(f"/v1/containers/{gone}/stats")
        assert refused.status_code == 503, refused.text
        assert there in refused.json()["errors"][0]["detail"]
        before = ours.heard
        eventually(lambda: ours.heard > before, "the others go on")
    finally:
        cluster.heal() if hurt == "cut" else cluster.thaw(f"{there}/compute")
    eventually(lambda: client.get(f"/v1/containers/{gone}/stats").status_code == 200, "it serves again", 60)
