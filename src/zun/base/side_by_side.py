# SPDX-License-Identifier: Apache-2.0
"""The same done for many, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def side_by_side(things: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_once: int) -> list[R]:
    """What `work` gave for each, in their order. The first failure ends the others and is raised as it is: what calls this
    expects plain errors, which a task group would wrap."""
    gate = asyncio.Semaphore(at_once)

    async def one(thing: T) -> R:
        async with gate:
            return await work(thing)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(thing)) for thing in things]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
