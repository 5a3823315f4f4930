# SPDX-License-Identifier: Apache-2.0
"""A real Docker engine keeps the contract."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import docker_engine
from support.docker_runtime import DockerGround, DockerHarness
from support.registry import registry
from support.registry_push import push_busybox
from zun.base.ids import new_uuid
from zun.drivers.runtime.contract import RuntimeContract

pytestmark = pytest.mark.docker


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerGround]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine: run scripts/ensure-docker and scripts/build-image")
    with registry(tmp_path_factory.mktemp("registry")) as served:
        digest = push_busybox(served.open, "team/app", "1", tmp_path_factory.mktemp("push"))
        network = f"zun-test-{new_uuid()}"
        prefix = docker_engine.make_network(network)
        try:
            yield DockerGround(served, network, prefix, digest)
        finally:
            docker_engine.call("DELETE", f"/networks/{network}")


class TestDockerRuntime(RuntimeContract):
    @pytest.fixture
    async def harness(self, ground: DockerGround, tmp_path: Path) -> AsyncIterator[DockerHarness]:
        harness = await DockerHarness.open(ground, tmp_path)
        yield harness
        await harness.close()
