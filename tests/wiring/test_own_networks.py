# SPDX-License-Identifier: Apache-2.0
"""The whole service with networks of its own on Docker: as an administrator and a user meet them, also across crashes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import docker_engine
from support.network_machine import Namespace
from support.own_networks import House, OnDocker
from support.own_networks_stories import CapsuleStories, ContainerStories, DaemonStories

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture
def engine(needs_root: None) -> Iterator[OnDocker]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine")
    namespace = Namespace("own")
    yield OnDocker(namespace)
    namespace.close()


@pytest.fixture
def house(engine: OnDocker, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, engine)
    made.start()
    yield made
    made.close()


@pytest.fixture
def apart(engine: OnDocker, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, engine, separate=True)
    made.start()
    yield made
    made.close()


class TestContainersOnDocker(ContainerStories):
    """They have holders."""


class TestCapsulesOnDocker(CapsuleStories):
    """Their sandboxes are plugged in by the node."""


class TestTheDaemonBesideDocker(DaemonStories):
    """The node asks it."""
