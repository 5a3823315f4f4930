# SPDX-License-Identifier: Apache-2.0
"""Several machines, a control plane and virtual time (an hour passes in a moment)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from moving.cloud import Cloud, cloud_of
from support.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The tests' loops have virtual time, except where other processes take real time."""
    if item.get_closest_marker("etcd") is not None or item.get_closest_marker("docker") is not None:
        return {"real": asyncio.SelectorEventLoop}
    return {"virtual": VirtualLoop}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    """Four machines."""
    async with cloud_of(tmp_path, ["n1", "n2", "n3", "n4"]) as cloud:
        yield cloud
