# SPDX-License-Identifier: Apache-2.0
"""All leases of a process are kept alive over one stream, which is made anew when it breaks.

A member answers in the order of the questions, but only the lease's id tells what an answer is for; so answers are matched by it.
"""

import asyncio
from collections import deque

import grpc
import grpc.aio

from zun.base.clock import Clock
from zun.model.errors import Denied, Unavailable
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.connection import Connection, was_retired
from zun.store.etcd.failures import NO_ANSWER, NOT_ALLOWED, stream_is_denied
from zun.store.etcd.members import Members, NoMember
from zun.store.transaction import unknown_lease

PATIENCE_SECONDS = 6.0
"""So long is a renewal tried, at one member after the other: an election, or a member that hangs, costs no lease."""

SILENCE_SECONDS = 1.5
"""A stream that owes answers and brings none for so long hangs."""

_PAUSE_SECONDS = 0.1


class _Broken(Exception):
    """The stream ended before the answer came."""


class KeepAlives:
    """Renews leases. Belongs to one event loop."""

    def __init__(self, members: Members, clock: Clock) -> None:
        self._members = members
        self._clock = clock
        self._stream: _Stream | None = None

    async def renew(self, lease: int) -> int:
        """Begin the lease's time anew; returns its seconds. Raises `NotFound` when it has ended, `Unavailable`."""
        until = self._clock.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                stream = await self._opened()
                ttl_seconds = await stream.renew(lease)
            except (NoMember, _Broken) as error:
                problem = error
            else:
                if ttl_seconds <= 0:
                    raise unknown_lease(lease)
                return ttl_seconds
            if self._clock.monotonic() >= until:
                raise Unavailable(NO_ANSWER) from problem
            await self._clock.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """End the stream."""
        if self._stream is not None:
            await self._stream.close()

    async def _opened(self) -> "_Stream":
        if self._stream is None or self._stream.ended:
            connection = await self._members.connected()
            if self._stream is None or self._stream.ended:  # nobody was faster
                self._stream = _Stream(connection, self._members, self._clock)
        return self._stream


class _Stream:
    """One stream to one member."""

    def __init__(self, connection: Connection, members: Members, clock: Clock) -> None:
        self.ended = False
        self._connection = connection
        self._members = members
        self._clock = clock
        self._answered_at = clock.monotonic()
        self._stream = connection.stream(connection.calls.keep_alive)
        self._waiting: dict[int, deque[asyncio.Future[int]]] = {}
        self._questions: asyncio.Queue[int] = asyncio.Queue()
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks = [
            asyncio.create_task(self._write(), name="etcd-keep-alive-write"),
            asyncio.create_task(self._read(), name="etcd-keep-alive-read"),
        ]

    async def renew(self, lease: int) -> int:
        """The lease's seconds, 0 when it has ended. Raises `_Broken`."""
        if not self._waiting:
            self._answered_at = self._clock.monotonic()  # until now it owed nothing
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(lease, deque()).append(answer)
        self._questions.put_nowait(lease)
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._listen)
        return await answer

    def _listen(self) -> None:
        """One look for all who wait: has the stream been silent for too long?"""
        self._alarm = None
        if self.ended or not self._waiting:
            return
        left = SILENCE_SECONDS - (self._clock.monotonic() - self._answered_at)
        if left > 0:
            self._alarm = asyncio.get_running_loop().call_later(left, self._listen)
            return
        self._members.suspect(self._connection)
        self._members.prefer_another(self._connection)
        self._end(_Broken())

    async def close(self) -> None:
        """End it, and its tasks."""
        self._end(_Broken())
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _write(self) -> None:
        """A task of its own: gRPC takes one message at a time, and ends the stream when a writer is cancelled."""
        try:
            while True:
                await self._stream.write(pb.LeaseKeepAliveRequest(ID=await self._questions.get()))
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            return  # the reader tells what went wrong

    async def _read(self) -> None:
        reason: Exception = _Broken()
        try:
            while (response := await self._stream.read()) is not grpc.aio.EOF:
                self._connection.heard()
                self._answered_at = self._clock.monotonic()
                self._answer(response.ID, response.TTL)
        except grpc.aio.AioRpcError as error:
            if stream_is_denied(error):
                reason = Denied(NOT_ALLOWED)
            self._members.prefer_another(self._connection)
        except asyncio.CancelledError:
            if not self.ended and not was_retired(self._connection):
                raise
        finally:
            self._end(reason)

    def _answer(self, lease: int, ttl_seconds: int) -> None:
        waiting = self._waiting.get(lease)
        if waiting:
            answer = waiting.popleft()
            if not answer.done():
                answer.set_result(ttl_seconds)
        if not waiting:
            self._waiting.pop(lease, None)

    def _end(self, reason: Exception) -> None:
        if self.ended:
            return
        self.ended = True
        self._connection.end_stream(self._stream)
        self._tasks[0].cancel()
        if self._alarm is not None:
            self._alarm.cancel()
        for answers in self._waiting.values():
            for answer in answers:
                if not answer.done():
                    answer.set_exception(reason)
                    answer.exception()  # who asked may have gone
        self._waiting.clear()
