# SPDX-License-Identifier: Apache-2.0
"""A service with users of its own, and the people who use it."""

from collections.abc import Iterator

import pytest

from isolation.people import People, Somebody
from support.service import Service, service

SETTINGS = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\n[streams]\nheartbeat_seconds = 1\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("house") / "state", settings=SETTINGS, store="memory") as running:
        yield running


@pytest.fixture(scope="module")
def people(house: Service) -> Iterator[People]:
    def somebody(name: str, project: str, *roles: str) -> Somebody:
        return Somebody(house.url, house.let_in(name, project, *roles), project)

    made = People(
        owner=somebody("olga", "bakery", "member"),
        reader=somebody("rita", "bakery", "reader"),
        nobody=somebody("nora", "bakery"),
        stranger=somebody("sven", "brewery", "member"),
        looker=somebody("lena", "brewery", "reader"),
        admin=Somebody(house.url, house.token, house.project),
    )
    yield made
    made.close()
