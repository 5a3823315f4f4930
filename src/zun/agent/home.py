# SPDX-License-Identifier: Apache-2.0
"""Where work lives that an object begins when it is asked to: it ends with the object's `run`, and what fails in it ends `run`."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class Home:
    """Runs once. Begun in it before `run` or after it, work would be nobody's: that is a fault of the program."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> NoReturn:
        """Until cancelled, which ends all that was begun."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.Event().wait()
        raise AssertionError("only cancellation ends it")

    def begin(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Have it done beside everything else."""
        if self._group is None:
            work.close()
            raise AssertionError(f"{name} was begun before its home ran")
        return self._group.create_task(work, name=name)
