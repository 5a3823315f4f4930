# SPDX-License-Identifier: Apache-2.0
"""An answer that flows. What feeds it is opened, read and left in one task, before whose first piece an error is still an error."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zun.api.streams.lifetime import Lifetime
from zun.model.errors import Timeout, ZunError

_LOG = logging.getLogger(__name__)


class Flow(NamedTuple):
    """What is sent: headers that are known when it begins, and the pieces."""

    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


class StreamedResponse(Response):
    """Sends a flow until it ends, the client hangs up, or the service stops; then `opened` is left.

    A client who takes nothing for `stall_seconds` is cut. Back-pressure is the server's: a piece is read when the one before went out.
    What breaks off in the middle has no end on the wire either: a client can tell it from what is complete.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[Flow]],
        lifetime: Lifetime,
        *,
        media_type: str,
        stall_seconds: float,
    ) -> None:
        super().__init__(
            status_code=200, media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._opened = opened
        self._lifetime = lifetime
        self._stall_seconds = stall_seconds
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it. Raises what opening it raises."""
        try:
            finished = await self._lifetime.bound(self._flow(send), _hang_up(receive))
        except ZunError as error:
            if not self._begun:
                raise
            _LOG.warning("The stream %s broke off: %s", scope["path"], error.message)
            return
        if not finished and self._begun:
            await send(
                {"type": "http.response.body", "body": b""}
            )  # of a service that stops; a client that left does not see it

    async def _flow(self, send: Send) -> None:
        async with self._opened() as flow:
            kept = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
            added = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in flow.headers.items()]
            self._begun = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": [*kept, *added]})
            async for piece in flow.pieces:
                await self._send(send, piece)
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError as error:
            raise Timeout(f"The client took nothing for {self._stall_seconds:g} seconds.") from error


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
