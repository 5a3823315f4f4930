# SPDX-License-Identifier: Apache-2.0
"""One service on the real engine, a network with known addresses, and a registry behind a password."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import docker_engine
from support.registry import Registry, registry
from support.service import Service, service
from support.stage import IMAGE, Stage
from zun.base.ids import new_uuid

SETTINGS = """
[quota]
containers = -1
cpu = -1
memory = -1
[compute]
dedicated_cpus = 1
heal_delay_seconds = 0.2
[docker]
log_mib = 0
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("containerd") is None:
            item.add_marker(pytest.mark.docker)


@dataclass(frozen=True)
class Network:
    """Made by an operator in the engine."""

    name: str
    prefix: str


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine: run scripts/ensure-docker and scripts/build-image")
    name = f"zun-test-{new_uuid()}"
    yield Network(name, docker_engine.make_network(name))
    docker_engine.call("DELETE", f"/networks/{name}")


@pytest.fixture(scope="session")
def house(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("house") / "state", runtime="docker", settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def stage(house: Service, network: Network) -> Iterator[Stage]:
    with Stage(house, network.name) as made:
        yield made


@pytest.fixture(scope="session")
def served(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        docker_engine.push(IMAGE, found.open, "team/app", "1")
        yield found
        for host in (found.open, found.private):
            docker_engine.call("DELETE", f"/images/{host}/team/app:1")
