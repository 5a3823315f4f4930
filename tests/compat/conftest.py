# SPDX-License-Identifier: Apache-2.0
"""One service on the real engine for all, the foreign clients beside it, and containers to work on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat.clients import BIN, Host, Library, Shell, client_host, environment
from support import docker_engine
from support.keystone import keystone
from support.service import Service, service
from support.stage import Stage

NETWORK = "zun-test-compat"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.compat)
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine: run scripts/ensure-docker")
    docker_engine.call("DELETE", f"/networks/{NETWORK}")
    docker_engine.make_network(NETWORK)
    yield NETWORK
    docker_engine.call("DELETE", f"/networks/{NETWORK}")


@pytest.fixture(scope="session")
def house(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if not (BIN / "zun").exists():
        pytest.skip("needs the foreign clients: run scripts/setup-compat-venv")
    quota = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\n"
    with service(tmp_path_factory.mktemp("house") / "state", runtime="docker", settings=quota) as running:
        yield running


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    with client_host() as running:
        yield running


@pytest.fixture(scope="session")
def auth_url(house: Service) -> Iterator[str]:
    with keystone(house.url) as url:
        yield url


@pytest.fixture(scope="session")
def stage(house: Service, network: str) -> Iterator[Stage]:
    with Stage(house, network) as made:
        yield made


@pytest.fixture(scope="session")
def environment_of(house: Service, auth_url: str) -> Callable[[str], dict[str, str]]:
    return lambda name: environment(name, house, auth_url)


@pytest.fixture(params=["zun", "openstack"])
def shell(
    request: pytest.FixtureRequest, environment_of: Callable[[str], dict[str, str]], host: Host, tmp_path: Path
) -> Shell:
    return Shell(request.param, host, environment_of(request.param), tmp_path)


@pytest.fixture(scope="session")
def library(host: Host, house: Service) -> Library:
    return Library(host, house)
