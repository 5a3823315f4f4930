# SPDX-License-Identifier: Apache-2.0
"""Crashes at chosen steps: whatever an agent asks of the outside world can be the last thing it did, before or after it happened."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any


class Crash(BaseException):
    """The process is dead; nothing catches it."""


class Crashes:
    """Counts the agent's steps in the outside world and lets it die at number `at`; the dead do nothing any more."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps >= self.at:
            raise Crash(self.steps)

    def around(self, thing: Any) -> Any:
        return _Mortal(thing, self)

    def disk(self, run_blocking: Callable[[Callable[[], None]], Awaitable[None]]) -> Any:
        async def mortal(work: Callable[[], None]) -> None:
            self.step()
            await run_blocking(work)
            self.step()

        return mortal


class _Mortal:
    """Something of the outside world, each call of which is two steps: before and after."""

    def __init__(self, thing: Any, crashes: Crashes) -> None:
        self._thing = thing
        self._crashes = crashes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if inspect.iscoroutinefunction(found):

            async def call(*args: Any, **kwargs: Any) -> Any:
                self._crashes.step()
                result = await found(*args, **kwargs)
                self._crashes.step()
                return result

            return call
        return _Mortal(found, self._crashes) if name in {"containers", "images", "networks", "pods"} else found
