# SPDX-License-Identifier: Apache-2.0
"""A load client: creates or deletes containers over keep-alive connections, so many a second or as fast as answers come.

It does as little as possible for each request, since it runs on the cores of what it loads.
"""

import asyncio
import gc
import json
import time
from collections import Counter, deque
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from support.fleet.orders import obey

_ACCEPTED = {"create": b"HTTP/1.1 202", "delete": b"HTTP/1.1 204"}
_VERSION = "container 1.40"
_UUID = "UUID"
_SHOWN_BYTES = 300


class Load(msgspec.Struct, kw_only=True):
    """What to do: `count` creates of `body` with the `tokens` in turns, or a deletion of each of `victims` (uuid, number of its token).

    `per_second` 0: as fast as so many `connections` get answers.
    """

    url: str
    tokens: list[str]
    connections: int = 32
    per_second: float = 0.0
    count: int = 0
    body: dict[str, Any] = {}
    victims: list[tuple[str, int]] = []


class Done(msgspec.Struct):
    """What it gave: seconds of each accepted request, who was made with which token and when it was asked for (monotonic), refusals."""

    began: float
    ended: float = 0.0
    seconds: list[float] = []
    made: list[tuple[str, int, float]] = []
    refused: dict[str, int] = {}


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._received = b""
        self._length = -1
        self.due = 0.0
        self.token = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._length < 0:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self._received.lower().find(b"content-length:", 0, head)
            body = int(self._received[at + 15 : self._received.find(b"\r\n", at)]) if at >= 0 else 0
            self._length = head + 4 + body
        if len(self._received) >= self._length:
            answer, self._received, self._length = self._received, b"", -1
            self._client.answered(self, answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._client.lost(error)


class _Client:
    """All connections, and what their requests gave."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._verb = "delete" if load.victims else "create"
        self._left = len(load.victims) or load.count
        self._unanswered = self._left
        self._requests = [self._request(token) for token in load.tokens]
        self._connections: list[_Connection] = []
        self._idle: deque[_Connection] = deque()
        self._late: deque[float] = deque()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refused: Counter[str] = Counter()
        self.done = Done(time.monotonic())

    async def run(self) -> Done:
        """Do it all."""
        loop, where = asyncio.get_running_loop(), urlsplit(self._load.url)
        for _ in range(self._load.connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), where.hostname, where.port)
            self._connections.append(connection)
            self._idle.append(connection)
        self.done.began = time.monotonic()
        if self._load.per_second:
            await self._evenly()
        else:
            while self._idle and self._left:
                self._ask(self._idle.popleft(), time.monotonic())
        await self._end
        for connection in self._connections:
            connection.transport.close()
        self.done.ended = time.monotonic()
        self.done.refused = dict(self._refused)
        return self.done

    async def _evenly(self) -> None:
        """Each when it is due, whatever the answers to others; when it has to wait for a connection, that counts."""
        for number in range(self._left):
            due = self.done.began + number / self._load.per_second
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if self._idle:
                self._ask(self._idle.popleft(), due)
            else:
                self._late.append(due)

    def _ask(self, connection: _Connection, due: float) -> None:
        self._left -= 1
        connection.due = due
        if self._load.victims:
            uuid, connection.token = self._load.victims[self._left]
            request = self._requests[connection.token].replace(_UUID.encode(), uuid.encode())
        else:
            connection.token = self._left % len(self._requests)
            request = self._requests[connection.token]
        connection.transport.write(request)

    def answered(self, connection: _Connection, answer: bytes) -> None:
        """An answer came; perhaps the next request goes out."""
        now = time.monotonic()
        self._unanswered -= 1
        if answer.startswith(_ACCEPTED[self._verb]):
            self.done.seconds.append(now - connection.due)
            if self._verb == "create":
                at = answer.find(b'"uuid":"') + 8
                self.done.made.append((answer[at : at + 36].decode(), connection.token, connection.due))
        else:
            self._refused[answer[-_SHOWN_BYTES:].decode(errors="replace")] += 1
        if not self._unanswered:
            self._end.set_result(None)
        elif self._late:
            self._ask(connection, self._late.popleft())
        elif self._load.per_second or not self._left:
            self._idle.append(connection)
        else:
            self._ask(connection, now)

    def lost(self, error: Exception | None) -> None:
        """A connection ended; while answers are awaited that is a failure."""
        if not self._end.done():
            self._end.set_exception(RuntimeError(f"the server hung up: {error}"))

    def _request(self, token: str) -> bytes:
        body = json.dumps(self._load.body).encode() if self._verb == "create" else b""
        path = "/v1/containers?run=true" if self._verb == "create" else f"/v1/containers/{_UUID}?stop=true"
        head = [
            f"{'POST' if self._verb == 'create' else 'DELETE'} {path} HTTP/1.1",
            f"Host: {urlsplit(self._load.url).netloc}",
            f"X-Auth-Token: {token}",
            f"OpenStack-API-Version: {_VERSION}",
            "Accept: application/json",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body


async def _carry_out(order: dict[str, Any]) -> Any:
    done = await _Client(msgspec.convert(order["load"], Load)).run()
    return msgspec.to_builtins(done)


def main() -> None:
    """Entry point."""
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(obey({"load": _carry_out}))


if __name__ == "__main__":
    main()
