# SPDX-License-Identifier: Apache-2.0
"""Lost nodes as real processes over a real etcd: killed, frozen, restarted on purpose."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.roles import Api, Cluster, Role, cluster, create, running, shown
from support.service import eventually

pytestmark = pytest.mark.etcd

DELAY = 8
CONTROL = f"[controller]\nheal_delay_seconds = {DELAY}\nlease_ttl_seconds = 3\n"
NODE = "[compute]\nheartbeat_seconds = 1\nrestart_grace_seconds = 20\n"
LOST_SECONDS = 15
PATIENCE = LOST_SECONDS + DELAY + 20


class House:
    """An API, a leader and three nodes with made-up engines (which die with their agents)."""

    def __init__(self, made: Cluster) -> None:
        self.api: Api = made.api("api")
        self.controller = made.controller("controller", CONTROL)
        self.nodes: dict[str, Role] = {name: made.compute(name, NODE) for name in ("n1", "n2", "n3")}
        for process in (self.api, self.controller, *self.nodes.values()):
            process.start()

    def healing(self, client: httpx.Client) -> tuple[str, str]:
        """A container that heals, running; and its node."""
        uuid = create(client, auto_heal=True)
        return uuid, str(running(client, uuid)["host"])

    def listed(self, client: httpx.Client) -> dict[str, Any]:
        """What is said of the nodes."""
        return dict(client.get("/v1/nodes").json())

    def mend(self) -> None:
        """All nodes work, and take what comes."""
        for node in self.nodes.values():
            if not node.runs:
                node.start()
        with self.api.client() as client:
            for name in self.nodes:
                client.post(f"/v1/nodes/{name}/undrain")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with cluster(tmp_path_factory.mktemp("lost")) as made:
        yield House(made)


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    """What the tests share, mended after each."""
    yield shared
    shared.mend()


def becomes(client: httpx.Client, uuid: str, status: str, seconds: float) -> dict[str, Any]:
    """What is shown once it has the status."""

    def seen() -> dict[str, Any] | None:
        found = shown(client, uuid)
        return found if found["status"] == status else None

    return dict(eventually(seen, f"{uuid} becomes {status}", seconds))


def moved(client: httpx.Client, uuid: str, home: str) -> dict[str, Any]:
    """What is shown once it runs on another node."""

    def seen() -> dict[str, Any] | None:
        found = shown(client, uuid)
        return found if found["status"] == "Running" and found["host"] != home else None

    return dict(eventually(seen, f"{uuid} runs elsewhere than on {home}", PATIENCE))


def test_a_killed_node_is_lost_within_seconds_and_its_containers_move_and_say_so(house: House) -> None:
    with house.api.client() as client:
        uuid, home = house.healing(client)
        house.nodes[home].kill()
        reason = becomes(client, uuid, "Unknown", LOST_SECONDS)["status_reason"]
        assert reason.startswith(f"Node {home} is lost; the container moves to another at ")
        moved(client, uuid, home)
        actions = client.get(f"/v1/containers/{uuid}/container_actions").json()["containerActions"]
        assert "move" in [action["action"] for action in actions]
        house.nodes[home].start()
        states = {node["name"]: node["state"] for node in house.listed(client)["nodes"]}
        assert states == {"n1": "up", "n2": "up", "n3": "up"}


def test_a_frozen_agent_loses_its_containers_and_is_not_confused_when_it_thaws(house: House) -> None:
    with house.api.client() as client:
        uuid, home = house.healing(client)
        house.nodes[home].freeze()
        moved(client, uuid, home)
        house.nodes[home].thaw()
        eventually(lambda: "taken for lost" in house.nodes[home].said(), "it notices that it was away")
        again = create(client, auto_heal=True)
        running(client, again)
        assert shown(client, uuid)["host"] != home
        assert house.nodes[home].complaints() == []


def test_nothing_moves_when_two_of_three_nodes_vanish(house: House) -> None:
    with house.api.client() as client:
        uuid, home = house.healing(client)
        other = next(name for name in house.nodes if name != home)
        for name in (home, other):
            house.nodes[name].kill()
        eventually(lambda: house.listed(client)["held_back"], "it is said that nothing moves", PATIENCE)
        eventually(lambda: "nothing is moved" in house.controller.said(), "the leader's log says so", PATIENCE)
        house.nodes[other].start()
        assert shown(client, uuid)["host"] == home
        eventually(lambda: not house.listed(client)["held_back"], "it goes on", PATIENCE)
        moved(client, uuid, home)


def test_a_deletion_on_a_lost_node_is_done_at_once_and_finished_when_it_returns(house: House) -> None:
    with house.api.client() as client:
        uuid = create(client)
        home = running(client, uuid)["host"]
        house.nodes[home].kill()
        becomes(client, uuid, "Unknown", LOST_SECONDS)
        assert client.delete(f"/v1/containers/{uuid}", params={"force": "true"}).status_code == httpx.codes.NO_CONTENT
        gone = lambda: client.get(f"/v1/containers/{uuid}").status_code == httpx.codes.NOT_FOUND  # noqa: E731
        eventually(gone, "its records go")
        house.nodes[home].start()
        running(client, create(client))


def test_a_drained_node_ends_empty_of_what_heals(house: House) -> None:
    with house.api.client() as client:
        made = [house.healing(client) for _ in range(6)]
        home = made[0][1]
        assert client.post(f"/v1/nodes/{home}/drain").status_code == httpx.codes.OK
        eventually(lambda: client.get(f"/v1/nodes/{home}").json()["drained"], "it is drained", PATIENCE)
        for uuid, _ in made:
            assert running(client, uuid)["host"] != home
