# SPDX-License-Identifier: Apache-2.0
"""One containerd for all tests of a worker that need one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.containerd_engine import Containerd, containerd
from support.cri_runtime import CriGround, CriHarness
from support.registry import Registry


@pytest.fixture(scope="session")
def engine() -> Iterator[Containerd]:
    with containerd() as running:
        yield running


@pytest.fixture
async def cri(engine: Containerd, tmp_path: Path) -> AsyncIterator[CriHarness]:
    """A runtime on it, without a registry."""
    harness = await CriHarness.open(CriGround(engine, Registry("", ""), ""), tmp_path)
    yield harness
    await harness.close()
