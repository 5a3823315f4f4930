# SPDX-License-Identifier: Apache-2.0
"""A watch on etcd that outlives its connection: after a disconnect it goes on, at whichever member works, after what was delivered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import grpc
import grpc.aio

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Denied, Timeout, Unavailable
from zun.store.etcd import messages
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.channel import Stream
from zun.store.etcd.connection import CONNECT_SECONDS, Connection, was_retired
from zun.store.etcd.failures import NO_ANSWER, NOT_ALLOWED, stream_is_denied
from zun.store.etcd.members import Members, NoMember
from zun.store.interface import Compacted, WatchBatch

OPEN_SECONDS = 10.0
"""So long is one attempt to begin a watch, over all members."""

AHEAD_BYTES = 1 << 20
AHEAD_BATCHES = 256
"""So much may wait for who iterates before reading pauses."""

RECONNECT = Backoff(first_seconds=0.05, cap_seconds=5.0, attempts=15)  # gives up after about a minute


def nobody_counts() -> None:
    """For those who do not count broken watches."""


class _Broken(Exception):
    """The stream is gone; it can be taken up elsewhere."""


class EtcdWatch(AsyncIterator[WatchBatch]):
    """One watch, on a stream of its own, read ahead of who iterates: what came meanwhile is delivered as one batch. One task may iterate.

    What waits here is bounded, and then the stream's flow control bounds what waits there.
    """

    def __init__(
        self,
        members: Members,
        key_range: tuple[bytes, bytes],
        from_revision: int,
        clock: Clock,
        *,
        resumed: Callable[[], Awaitable[object]] | None = None,
        reconnect: Backoff = RECONNECT,
        reconnected: Callable[[], None] = nobody_counts,
    ) -> None:
        """`key_range`: first key and range end, as etcd writes them. `reconnected` is told of each break, `resumed` called after it."""
        self._members = members
        self._range = key_range
        self._next = from_revision
        self._clock = clock
        self._resumed = resumed
        self._reconnect = reconnect
        self._reconnected = reconnected
        self._at: tuple[Connection, Stream] | None = None
        self._progress_asked = False
        self._reading: asyncio.Task[None] | None = None
        self._waiting: list[WatchBatch] = []
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Begin, at a member that works. Raises `Unavailable`, `Denied` or `Compacted`."""
        until = self._clock.monotonic() + OPEN_SECONDS
        for delay in self._reconnect.delays():
            try:
                return await self._begin()
            except (NoMember, _Broken) as error:
                if self._clock.monotonic() + delay > until:
                    raise Unavailable(NO_ANSWER) from error
            await self._clock.sleep(delay)
        raise Unavailable(NO_ANSWER)

    async def ask_progress(self, revision: int) -> None:
        """Have etcd say how far this watch is, where it can be trusted, unless it has reached `revision` or was asked already."""
        if self._at is None or self._progress_asked or self._next > revision or not self._at[0].progress_is_true:
            return
        self._progress_asked = True
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # a broken stream is the reader's matter
            await self._at[1].write(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))

    async def close(self) -> None:
        """End the watch; who waits for it gets `Unavailable`."""
        self._closed = True
        self._leave()
        self._news.set()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def __anext__(self) -> WatchBatch:
        # Cancelling a read would end the stream; so reading is a task that outlives a consumer that stops waiting.
        self._check_open()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_ahead(), name="etcd-watch")
        while not self._waiting:
            if self._reading.done():
                reading, self._reading = self._reading, None
                reading.result()
                raise Unavailable("The watch has ended; begin another.")
            self._news.clear()
            await self._news.wait()
            self._check_open()
        batches, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._room.set()
        if len(batches) == 1:
            return batches[0]
        return WatchBatch(batches[-1].revision, tuple(event for batch in batches for event in batch.events))

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The store was closed; connect again and watch from the last revision + 1.")

    async def _read_ahead(self) -> None:
        """Until the watch ends: then this raises what its consumer is to be told after all that came before."""
        try:
            while True:
                batch = await self._next_batch()
                self._waiting.append(batch)
                self._waiting_bytes += sum(len(event.kv.value) for event in batch.events)
                self._news.set()
                while self._waiting_bytes >= AHEAD_BYTES or len(self._waiting) >= AHEAD_BATCHES:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._news.set()

    async def _next_batch(self) -> WatchBatch:
        delays = self._reconnect.delays()
        while True:
            try:
                if self._at is None:
                    await self._resume()
                batch = await self._receive()
            except (NoMember, _Broken) as error:
                self._reconnected()
                self._leave()
                delay = next(delays, None)
                if delay is None:
                    raise Unavailable(f"The watch was lost and could not be taken up again. {NO_ANSWER}") from error
                await self._clock.sleep(delay)
                continue
            self._next = batch.revision + 1
            self._members.heard_of(batch.revision)
            return batch

    async def _resume(self) -> None:
        await self._begin()
        if self._resumed is not None:
            try:
                await self._resumed()
            except (Unavailable, Timeout) as error:
                raise _Broken(error.message) from error

    async def _begin(self) -> None:
        """Have a member begin the watch. Raises `NoMember`, `_Broken`, and what is final."""
        connection = await self._members.connected()
        self._at = connection, connection.stream(connection.calls.watch)
        self._progress_asked = False
        begin, end = self._range
        create = pb.WatchCreateRequest(
            key=begin, range_end=end, start_revision=self._next, progress_notify=True, fragment=True
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._write(pb.WatchRequest(create_request=create))
                first = await self._read()
        except TimeoutError:
            self._members.suspect(connection)
            self._give_up_member()
            raise _Broken("a member did not begin the watch in time") from None
        if first.canceled:
            raise self._end(first)

    async def _receive(self) -> WatchBatch:
        """The next batch of the stream, with its fragments put together."""
        fragments: list[pb.Event] = []
        while True:
            response = await self._read()
            if response.canceled:
                raise self._end(response)
            fragments.extend(response.events)
            if response.fragment:
                continue
            if fragments:
                # Not the header's revision: while etcd catches up, more may follow that is older than that.
                return WatchBatch(fragments[-1].kv.mod_revision, tuple(map(messages.event, fragments)))
            self._progress_asked = False
            if response.header.revision >= self._next:
                return WatchBatch(response.header.revision, ())

    async def _write(self, request: pb.WatchRequest) -> None:
        if self._at is not None:
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # reading tells what is wrong
                await self._at[1].write(request)

    async def _read(self) -> pb.WatchResponse:
        if self._at is None:
            raise _Broken("the stream is gone")
        connection, stream = self._at
        try:
            response = await stream.read()
        except grpc.aio.AioRpcError as error:
            self._give_up_member()
            if stream_is_denied(error):
                raise Denied(NOT_ALLOWED) from error
            raise _Broken(error.details() or error.code().name) from error
        except asyncio.CancelledError:
            if not was_retired(connection):
                raise
            raise _Broken("the connection was given up") from None
        if response is grpc.aio.EOF:
            self._give_up_member()
            raise _Broken("the member ended the stream")
        connection.heard()
        received: pb.WatchResponse = response
        return received

    def _end(self, response: pb.WatchResponse) -> Exception:
        """What it means that the member cancelled the watch."""
        self._leave()
        if response.compact_revision:
            return Compacted(response.compact_revision)
        if "permission denied" in response.cancel_reason:
            return Denied(NOT_ALLOWED)
        return _Broken(f"the member ended the watch ({response.cancel_reason or 'no reason given'})")

    def _give_up_member(self) -> None:
        if self._at is not None:
            self._members.prefer_another(self._at[0])
        self._leave()

    def _leave(self) -> None:
        if self._at is not None:
            connection, stream = self._at
            self._at = None
            connection.end_stream(stream)
