# SPDX-License-Identifier: Apache-2.0
"""Services that the tests of zunctl share: one with made-up containers, one with Docker's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.zunctl import Service, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The fake runtime."""
    with running_service(tmp_path_factory.mktemp("zund"), "fake", "alpine") as running:
        yield running


@pytest.fixture(scope="session")
def docker_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Real containers; all of them are removed at the end."""
    with running_service(tmp_path_factory.mktemp("zund-docker"), "docker", "zun.local/busybox:1") as running:
        yield running
        left = running.run("ps", "-aq").out.split()
        if left:
            running.run("rm", "-f", *left)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory for files of the test."""
    return tmp_path
