# SPDX-License-Identifier: Apache-2.0
"""A world with one capable node and the container services at work in it."""

from collections.abc import AsyncIterator

import pytest

from support.desk import Desk, desk_in
from support.world import World, world_on
from zun.base.clock import SystemClock
from zun.store.memory import MemoryStore


@pytest.fixture
async def empty_world() -> AsyncIterator[World]:
    """A world without nodes."""
    clock = SystemClock()
    store = MemoryStore(clock)
    async with world_on(store, clock) as made:
        yield made
    await store.close()


@pytest.fixture
async def world(empty_world: World) -> World:
    """A world with the node n1."""
    await empty_world.node("n1")
    return empty_world


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    """The services with everything at its default."""
    async with desk_in(world) as made:
        yield made
