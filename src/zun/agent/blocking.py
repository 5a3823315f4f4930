# SPDX-License-Identifier: Apache-2.0
"""Disk work beside the event loop; handed in, so that tests run it where they stand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
RunBlocking = Callable[[Callable[[], None]], Awaitable[None]]


async def in_thread(work: Callable[[], None]) -> None:
    """The usual way: in a thread."""
    await asyncio.to_thread(work)


async def produced(run_blocking: RunBlocking, work: Callable[[], T]) -> T:
    """Do work that has a result."""
    results: list[T] = []
    await run_blocking(lambda: results.append(work()))
    return results[0]
