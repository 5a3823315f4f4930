# SPDX-License-Identifier: Apache-2.0
"""Heads of requests, bounded in size and time before anybody is asked for a token.

The HTTP server by itself keeps what comes of a head for as long and as much as a stranger likes to send.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 128 * 1024


class BoundedHeads(HttpToolsProtocol):
    """A connection that must bring each head whole: at most `MAX_HEAD_BYTES`, within `head_seconds`."""

    head_seconds = 30.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the class above says
        """A client came; its first request is awaited."""
        super().connection_made(transport)
        self._head_bytes = 0
        self._too_slow: asyncio.TimerHandle | None = None
        self._await_head()

    def on_message_begin(self) -> None:
        """The first line begins."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._head_is_over()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        self._head_is_over()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something came. What is still head after it counts."""
        super().data_received(data)
        if self._too_slow is None or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._head_is_over()
            self.send_400_response(f"The head of a request may have at most {MAX_HEAD_BYTES} bytes.")

    def _await_head(self) -> None:
        if self._too_slow is None:
            self._head_bytes = 0
            self._too_slow = self.loop.call_later(self.head_seconds, self.transport.close)

    def _head_is_over(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None


def within(seconds: float) -> type[asyncio.Protocol]:
    """Connections whose heads must come in so many seconds."""
    members: dict[str, Any] = {"head_seconds": seconds}
    return type("BoundedHeads", (BoundedHeads,), members)
