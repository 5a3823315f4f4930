# SPDX-License-Identifier: Apache-2.0
"""One real Keystone for all, a service that takes its tokens and is in its catalogue, and the foreign clients beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.clients import BIN, Host, client_host
from support.cloud import Cloud, Person
from support.cloud_operator import SETTINGS, Zund, settings_of
from support.keystone_server import PROGRAM, KeystoneServer
from support.service import Service, service

pytest.register_assert_rewrite("zun.drivers.identity.contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.keystone)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoneServer]:
    if not PROGRAM.exists():
        pytest.skip("needs Keystone: run scripts/setup-keystone-venv")
    running = KeystoneServer(tmp_path_factory.mktemp("keystone"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def cloud(server: KeystoneServer) -> Iterator[Cloud]:
    made = Cloud(server)
    yield made
    made.close()


@pytest.fixture(scope="session")
def service_user(cloud: Cloud) -> Person:
    return cloud.person("zun", "service", "service")


@pytest.fixture
def zund(cloud: Cloud, tmp_path: Path) -> Zund:
    return Zund(cloud, tmp_path)


@pytest.fixture(scope="session")
def house(cloud: Cloud, service_user: Person, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, registered as an operator does it."""
    settings = SETTINGS + settings_of(cloud, service_user)
    place = tmp_path_factory.mktemp("house")
    with service(place / "state", settings=settings, keystone=True) as running:
        registering = Zund(cloud, place)
        code, said = registering("register", "--public-url", running.url, settings=settings)
        assert code == 0, said
        yield running


@pytest.fixture(scope="session")
def ann(cloud: Cloud) -> Person:
    return cloud.person("ann", "bakery", "member")


@pytest.fixture(scope="session")
def bob(cloud: Cloud) -> Person:
    return cloud.person("bob", "brewery", "member")


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    if not (BIN / "zun").exists():
        pytest.skip("needs the foreign clients: run scripts/setup-compat-venv")
    with client_host() as running:
        yield running
