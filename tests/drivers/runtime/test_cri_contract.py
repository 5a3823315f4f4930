# SPDX-License-Identifier: Apache-2.0
"""A real containerd keeps the contract."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.containerd_engine import Containerd
from support.cri_runtime import CriGround, CriHarness
from support.registry import registry
from support.registry_push import push_busybox
from zun.drivers.runtime.contract import RuntimeContract

pytestmark = pytest.mark.containerd


@pytest.fixture(scope="module")
def ground(engine: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CriGround]:
    with registry(tmp_path_factory.mktemp("registry")) as served:
        digest = push_busybox(served.open, "team/app", "1", tmp_path_factory.mktemp("push"))
        yield CriGround(engine, served, digest)


class TestCriRuntime(RuntimeContract):
    @pytest.fixture
    async def harness(self, ground: CriGround, tmp_path: Path) -> AsyncIterator[CriHarness]:
        harness = await CriHarness.open(ground, tmp_path)
        yield harness
        await harness.close()
