# SPDX-License-Identifier: Apache-2.0
"""A thousand nodes and twenty thousand containers over a real etcd: nothing is lost, doubled or miscounted, and loss costs no writes.

The tests share one fleet, and stand in the order in which they use it up.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from support.fleet.fleet import Fleet, fleet
from support.fleet.node import MEMORY_MIB, node_name
from support.fleet.orders import Child
from support.fleet.reading import stored
from support.roles import Api
from support.service import eventually
from zun.agent.options import AgentOptions
from zun.model.records import Place, Usage
from zun.store import codec, keys

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]

SHARES = (450, 450, 100)
"""Nodes in each process; the last, a tenth of all, dies at the end."""

CONTAINERS = 20_000
DELETED = 1_000
LEASE_SECONDS = 15
"""After so long without a heartbeat a node counts as lost."""


class Standing:
    """A fleet with all its containers."""

    def __init__(self, made: Fleet) -> None:
        self.fleet = made
        self.api: Api = made.api
        self.observer: Child = made.child("observer", "--endpoint", made.cluster.endpoint)
        begin = time.monotonic()
        made.start()
        print(f"\n{made.nodes} nodes after {time.monotonic() - begin:.0f} s", end="")
        self.made = made.load(count=CONTAINERS, connections=64).made
        made.until("running", CONTAINERS)
        print(f", {CONTAINERS} containers after {time.monotonic() - begin:.0f} s")

    def until_nothing_is_written(self) -> None:
        """Wait until nobody writes about containers any more."""
        before: dict[str, int] = {}
        while (now := self.written()) != before:
            before = now
            time.sleep(2)

    def written(self) -> dict[str, int]:
        """How many writes there were about containers, by kind."""
        found: dict[str, int] = self.observer.ask("written")
        return {kind: found[kind] for kind in ("wish", "place", "s", "e") if kind in found}

    def project_of(self) -> dict[str, str]:
        """By container."""
        return {uuid: self.fleet.projects[token] for uuid, token, _ in self.made}


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """The fleet of this file."""
    with fleet(tmp_path_factory.mktemp("fleet"), shares=SHARES) as made:
        yield Standing(made)


def statuses(api: Api) -> Counter[str]:
    """How many containers an API server shows in each status."""
    with api.client() as client:
        text = client.get("/metrics").raise_for_status().text
    found = re.findall(r'^zun_containers\{status="(\w+)"\} (\S+)', text, re.MULTILINE)
    return Counter({status: int(float(number)) for status, number in found if float(number)})


def places(standing: Standing) -> dict[str, Place]:
    """All places, by container."""
    found = stored(standing.fleet.cluster.endpoint, keys.PLACES)
    return {key.removeprefix(keys.PLACES): codec.decode(Place, raw) for key, raw in found.items()}


def test_every_container_that_was_accepted_runs(standing: Standing) -> None:
    assert statuses(standing.api) == {"Running": CONTAINERS}
    assert {uuid for uuid, _, _ in standing.made} == set(places(standing))


def test_containers_are_spread_over_all_nodes(standing: Standing) -> None:
    on_nodes = Counter(place.node for place in places(standing).values())
    mean = CONTAINERS / standing.fleet.nodes
    assert len(on_nodes) == standing.fleet.nodes
    assert min(on_nodes.values()) >= mean / 2
    assert max(on_nodes.values()) <= mean * 2


def test_usage_and_claims_are_the_sum_of_what_is_there(standing: Standing) -> None:
    placed, project_of = places(standing), standing.project_of()
    memory_of_project = Counter[str]()
    memory_on_node = Counter[str]()
    for uuid, place in placed.items():
        memory_of_project[project_of[uuid]] += place.claim.memory_mib
        memory_on_node[place.node] += place.claim.memory_mib
    usage = {
        key.removeprefix(keys.QUOTAS): codec.decode(Usage, raw)
        for key, raw in stored(standing.fleet.cluster.endpoint, keys.QUOTAS).items()
    }
    assert {project: use.memory for project, use in usage.items()} == memory_of_project
    assert {project: use.containers for project, use in usage.items()} == Counter(project_of.values())
    assert max(memory_on_node.values()) <= MEMORY_MIB * AgentOptions().ram_allocation_ratio
    inbox = stored(standing.fleet.cluster.endpoint, keys.INBOX, keys_only=True)
    assert set(inbox) == {keys.inbox(place.node, uuid) for uuid, place in placed.items()}


def test_a_new_api_server_shows_all_of_it_once_it_is_ready(standing: Standing) -> None:
    late = standing.fleet.cluster.api("late")
    late.start()
    try:
        assert statuses(late) == statuses(standing.api)
    finally:
        late.stop()


def test_deletes_give_everything_back(standing: Standing) -> None:
    victims = [(uuid, token) for uuid, token, _ in standing.made[:DELETED]]
    gone = {uuid for uuid, _ in victims}
    standing.fleet.load(victims=victims, connections=64)
    standing.made = standing.made[DELETED:]
    eventually(lambda: statuses(standing.api).total() == CONTAINERS - DELETED, "they are cleared away", 120)
    endpoint = standing.fleet.cluster.endpoint
    for prefix in (keys.PLACES, keys.INBOX, keys.STAGE):
        assert not [key for key in stored(endpoint, prefix, keys_only=True) if key.rpartition("/")[2] in gone], prefix
    standing.until_nothing_is_written()
    told = [key for key in stored(endpoint, keys.OUT, keys_only=True) if not gone.isdisjoint(key.split("/"))]
    assert not told, "their nodes took back what they told of them"
    test_usage_and_claims_are_the_sum_of_what_is_there(standing)


def test_a_lost_tenth_of_the_nodes_is_unknown_at_once_and_costs_no_write_per_container(standing: Standing) -> None:
    lost = {node_name(number) for number in range(sum(SHARES[:-1]), sum(SHARES))}
    on_lost = sum(place.node in lost for place in places(standing).values())
    standing.observer.ask("forget")
    standing.fleet.lose(len(SHARES) - 1)
    eventually(lambda: statuses(standing.api)["Unknown"] == on_lost, "all of them are Unknown", LEASE_SECONDS)
    assert statuses(standing.api) == {"Unknown": on_lost, "Running": CONTAINERS - DELETED - on_lost}
    assert standing.written() == {}
    assert standing.observer.ask("written")["alive"] == len(lost)
    with standing.api.client() as client:
        answer = client.get("/v1/containers", params={"all_projects": "true", "status": "Unknown", "limit": 1000})
        assert answer.status_code == httpx.codes.OK
        assert all(each["host"] in lost for each in answer.json()["containers"])
