# SPDX-License-Identifier: Apache-2.0
"""Checks that run a command in the container.

So many begin at once, for that is work for the engine; what has begun waits for its end without a turn, so that a command that hangs holds up
nobody else: of each check only one is under way.
"""

import asyncio
import logging
from contextlib import AsyncExitStack

from zun.agent.probing.judging import NOT_ASKED, PASSED, Answer, failed
from zun.drivers.runtime.base import ByteSession, Streams
from zun.drivers.runtime.types import ExecRequest
from zun.model.errors import Invalid, ZunError

_log = logging.getLogger(__name__)

MOST_BYTES = 1 << 20
"""A command that says more is stopped: reading on would be work for the node."""

_KEPT_BYTES = 200
_PARTING_SECONDS = 2.0
"""When the asking itself is given up (a pause, the end of the agent), stopping the command may take so long."""


class Commands:
    """Runs them. `at_once`: so many begin together; `engine_seconds`: the engine may take so long for its part."""

    def __init__(self, streams: Streams, *, at_once: int, engine_seconds: float) -> None:
        self._streams = streams
        self._turns = asyncio.Semaphore(at_once)
        self._engine_seconds = engine_seconds

    async def ask(self, handle: str, argv: list[str], seconds: float) -> Answer:
        """Well: it ended with code 0 in time. What the engine cannot do now says nothing of the container."""
        try:
            async with AsyncExitStack() as stack:
                async with self._turns, asyncio.timeout(self._engine_seconds):
                    exec_id = await self._streams.exec_create(handle, ExecRequest(argv))
                    session = await stack.enter_async_context(self._streams.exec_start(exec_id))
                return await self._judged(exec_id, session, seconds)
        except Invalid as error:
            return failed(error.message)
        except (ZunError, OSError) as error:
            _log.info("a command that checks container %s could not be run: %s", handle[:12], error)
            return NOT_ASKED

    async def _judged(self, exec_id: str, session: ByteSession, seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                said = await _said(session)
        except asyncio.CancelledError:
            await self._stop(exec_id, _PARTING_SECONDS)
            raise
        except TimeoutError:
            await self._stop(exec_id, self._engine_seconds)
            return failed(f"it did not end within {seconds:g} seconds")
        if said is None:
            await self._stop(exec_id, self._engine_seconds)
            return failed(f"it said more than {MOST_BYTES >> 20} MiB")
        async with asyncio.timeout(self._engine_seconds):
            code = await session.exit_code()
        if code is None:
            return NOT_ASKED
        return PASSED if code == 0 else failed(f"exit code {code}{f': {said}' if said else ''}")

    async def _stop(self, exec_id: str, patience: float) -> None:
        """Nobody waits for its end any more. What of it cannot be stopped runs on in its container, which pays for it."""
        try:
            async with asyncio.timeout(patience):
                await self._streams.exec_kill(exec_id)
        except (ZunError, OSError) as error:
            _log.warning("a command that checks a container hangs and could not be stopped: %s", error)


async def _said(session: ByteSession) -> str | None:
    """The beginning of what it says until its end, on one line; None when that is too much."""
    kept, total = b"", 0
    while (chunk := await session.read()) is not None:
        total += len(chunk.data)
        if total > MOST_BYTES:
            return None
        if len(kept) < _KEPT_BYTES:
            kept = (kept + chunk.data)[:_KEPT_BYTES]
    text = "".join(letter if letter.isprintable() else " " for letter in kept.decode(errors="replace"))
    return " ".join(text.split())
