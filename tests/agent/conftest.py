# SPDX-License-Identifier: Apache-2.0
"""An agent on a made-up engine, a store in memory and virtual time (a day passes in a moment)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from agent_world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A node whose agent a test starts, stops and crashes."""
    async with AsyncExitStack() as stack:
        world = World(tmp_path, stack)
        yield world
        await world.stop()
