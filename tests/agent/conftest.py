# SPDX-License-Identifier: Apache-2.0
"""An agent on a made-up engine, a store in memory and virtual time (a day passes in a moment)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from agent_world import World

from support.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The tests' loops have virtual time, except where a real engine takes real time."""
    if item.get_closest_marker("docker") is not None or item.get_closest_marker("containerd") is not None:
        return {"real": asyncio.SelectorEventLoop}
    return {"virtual": VirtualLoop}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A node whose agent a test starts, stops and crashes."""
    async with AsyncExitStack() as stack:
        world = World(tmp_path, stack)
        yield world
        await world.stop()
