# SPDX-License-Identifier: Apache-2.0
"""Waiting until a node reports that an action is finished: for the few calls that answer only then."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from zun.model.errors import Timeout
from zun.model.records import ActionResult


class Expectation:
    """The result of one action, once it is there."""

    def __init__(self) -> None:
        self._future: asyncio.Future[ActionResult] = asyncio.get_running_loop().create_future()

    async def result(self, timeout_seconds: float) -> ActionResult:
        """The finished result. Raises `Timeout` when the node reported none in time; the action may still happen."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(self._future)
        except TimeoutError as error:
            raise Timeout(
                f"The node did not finish within {timeout_seconds:g} seconds; look at the container's actions to see how it ends."
            ) from error

    def offer(self, result: ActionResult) -> None:
        """Take in a result; the first finished one counts."""
        if result.finish_time is not None and not self._future.done():
            self._future.set_result(result)


class Expectations:
    """Everybody who waits for a result, by container and request."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], list[Expectation]] = {}

    @contextmanager
    def expect(self, uuid: str, request_id: str) -> Iterator[Expectation]:
        """Wait for the action `request_id` of container `uuid`; begin before the action is recorded."""
        expectation = Expectation()
        waiting = self._waiting.setdefault((uuid, request_id), [])
        waiting.append(expectation)
        try:
            yield expectation
        finally:
            waiting.remove(expectation)
            if not waiting:
                self._waiting.pop((uuid, request_id), None)

    def wanted(self, uuid: str, request_id: str) -> list[Expectation]:
        """Who waits for it."""
        return self._waiting.get((uuid, request_id), [])
