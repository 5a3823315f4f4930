# SPDX-License-Identifier: Apache-2.0
"""A small bounded HTTP load generator: keep-alive connections that ask again as soon as they are answered.

It does as little as possible per answer, so that one core of it keeps a server on the other core busy.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Measured:
    """What one run gave; latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Replies a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The latency that `share` of the replies did not exceed, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    def add(self, other: "Measured") -> None:
        """Count another run in."""
        self.seconds += other.seconds
        self.latencies += other.latencies


class _Connection(asyncio.Protocol):
    """Asks for the URLs in turn until the deadline."""

    def __init__(self, requests: Sequence[bytes], start: int, deadline: float, measured: Measured) -> None:
        self._requests = requests
        self._next = start
        self._deadline = deadline
        self._measured = measured
        self._head = b""
        self._left = -1
        self._asked = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._ask()

    def _ask(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._asked = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 200"):
                self._fail(self._head[:200])
                return
            at = self._head.lower().find(b"content-length:")
            length = int(self._head[at + 15 : self._head.find(b"\r\n", at)])
            self._left = length - (len(self._head) - end - 4)
            self._head = b""
        else:
            self._left -= len(data)
        if self._left <= 0:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self._measured.latencies.append(now - self._asked)
        self._left = -1
        if now < self._deadline:
            self._ask()
        else:
            self._transport.close()

    def _fail(self, head: bytes) -> None:
        self._transport.close()
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"unexpected answer: {head!r}"))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def requests_for(paths: Sequence[str], port: int, token: str) -> list[bytes]:
    """The bytes of a GET for each path."""
    return [
        (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Auth-Token: {token}\r\n"
            "OpenStack-API-Version: container 1.40\r\nAccept: application/json\r\n\r\n"
        ).encode()
        for path in paths
    ]


async def load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Measured:
    """Keep `connections` busy for `seconds`."""
    loop = asyncio.get_running_loop()
    measured = Measured()
    begin = time.perf_counter()
    deadline = begin + seconds
    opened = []
    for number in range(connections):
        start = number * len(requests) // connections

        def protocol(start: int = start) -> _Connection:
            return _Connection(requests, start, deadline, measured)

        _, connection = await loop.create_connection(protocol, "127.0.0.1", port)
        opened.append(connection)
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*[connection.done for connection in opened])
    measured.seconds = time.perf_counter() - begin
    return measured
