# SPDX-License-Identifier: Apache-2.0
"""What the tests of the control loops share: a world whose nodes are played by hand, and a leadership."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.base.sealing import NodeKey
from zun.store import keys
from zun.store.fencing import Fence
from zun.store.interface import Put, unchanged
from zun.store.memory import MemoryStore


@pytest.fixture
def clock() -> ManualClock:
    """A clock the test moves."""
    return ManualClock()


@pytest.fixture
async def world(clock: ManualClock) -> AsyncIterator[World]:
    """A store with a view of it."""
    store = MemoryStore(clock)
    async with world_on(store, clock) as world:
        yield world
    await store.close()


@pytest.fixture
async def fence(world: World, clock: ManualClock) -> Fence:
    """A leadership that lasts until somebody writes the key again."""
    revision = await world.write(Put(keys.leader("controller"), b"me"))
    return Fence(world.store, clock, unchanged(keys.leader("controller"), revision))


@pytest.fixture
def node_key(tmp_path: Path) -> NodeKey:
    """A node's private key."""
    return NodeKey.load(tmp_path / "node.key")
