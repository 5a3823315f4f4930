# SPDX-License-Identifier: Apache-2.0
"""Threads for what blocks: the kernel and the disk."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = 4
"""So many sandboxes are worked on at once; the kernel changes links one at a time anyway."""


class Workers:
    """A few threads, and how long the kernel has for one piece of work."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="zun-cni")

    async def do(self, work: Callable[[float], T]) -> T:
        """Do it in a thread; it is told when it has to be done, as of `time.monotonic()`, and stops waiting then."""
        deadline = time.monotonic() + self._seconds
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, deadline)

    def close(self) -> None:
        """Wait for what is in work, and end the threads."""
        self._threads.shutdown(wait=True)
