# SPDX-License-Identifier: Apache-2.0
"""A watch on etcd that outlives its connection: after a disconnect it goes on at the revision after the last one delivered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import grpc
import grpc.aio

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable, ZunError
from zun.store.etcd import messages
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.channel import CALL_SECONDS, Calls, Stream, meaning
from zun.store.interface import Compacted, WatchBatch

RECONNECT = Backoff(first_seconds=0.1, cap_seconds=5.0, attempts=15)  # gives up after about a minute


def nobody_counts() -> None:
    """For those who do not count broken watches."""


class EtcdWatch(AsyncIterator[WatchBatch]):
    """One watch, on a stream of its own: flow control of the stream bounds what waits here. One task may iterate."""

    def __init__(
        self,
        calls: Calls,
        prefix: str,
        from_revision: int,
        clock: Clock,
        *,
        reconnect: Backoff = RECONNECT,
        reconnected: Callable[[], None] = nobody_counts,
    ) -> None:
        self._calls = calls
        self._range = messages.key_range(prefix)
        self._next = from_revision
        self._clock = clock
        self._reconnect = reconnect
        self._reconnected = reconnected
        self._stream: Stream | None = None
        self._progress_asked = False
        self._reading: asyncio.Task[WatchBatch] | None = None
        self._closed = False

    async def open(self) -> None:
        """Connect; returns once etcd has made the watch. Raises `Unavailable`, `Timeout` or `Denied`."""
        stream = self._calls.watch()
        begin, end = self._range
        create = pb.WatchCreateRequest(
            key=begin, range_end=end, start_revision=self._next, progress_notify=True, fragment=True
        )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await stream.write(pb.WatchRequest(create_request=create))
                first = await stream.read()
        except TimeoutError as error:
            stream.cancel()
            raise Timeout(f"etcd did not begin a watch within {CALL_SECONDS:.0f} s; check its load.") from error
        except asyncio.InvalidStateError as error:  # the call ended before the request was written
            raise Unavailable("etcd ended a new watch at once; check that it runs, then try again.") from error
        except grpc.aio.AioRpcError as error:
            raise meaning(error) from error
        if first is grpc.aio.EOF:
            raise Unavailable("etcd ended a new watch at once; check that it runs, then try again.")
        if first.canceled:
            stream.cancel()
            raise Unavailable(f"etcd refused a watch ({first.cancel_reason}); check the role of this client.")
        self._stream = stream
        self._progress_asked = False

    async def ask_progress(self, revision: int) -> None:
        """Have etcd say how far this watch is, unless it has reached `revision` or was asked already."""
        if self._stream is None or self._progress_asked or self._next > revision:
            return
        self._progress_asked = True
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # a broken stream is the reader's matter
            await self._stream.write(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))

    async def close(self) -> None:
        """End the watch; who waits for it gets `Unavailable`."""
        self._closed = True
        if self._stream is not None:
            self._stream.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def __anext__(self) -> WatchBatch:
        # Cancelling a read would end the stream; so reading is a task that outlives a consumer that stops waiting.
        self._check_open()
        if self._reading is None:
            self._reading = asyncio.create_task(self._next_batch(), name="etcd-watch")
        reading = self._reading
        await asyncio.wait([reading])
        self._check_open()
        self._reading = None
        return reading.result()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The store was closed; connect again and watch from the last revision + 1.")

    async def _next_batch(self) -> WatchBatch:
        delays = self._reconnect.delays()
        while True:
            try:
                if self._stream is None:
                    await self.open()
                batch = await self._receive()
            except (Unavailable, Timeout) as error:
                self._reconnected()
                self._stream = None
                delay = next(delays, None)
                if delay is None:
                    raise Unavailable(f"The watch was lost and could not be taken up again ({error})") from error
                await self._clock.sleep(delay)
                continue
            self._next = batch.revision + 1
            return batch

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

    async def _read(self) -> pb.WatchResponse:
        if self._stream is None:
            raise Unavailable("The connection to etcd is gone.")
        try:
            response = await self._stream.read()
        except grpc.aio.AioRpcError as error:
            # Whatever ended an established stream, taking it up again tells whether it is for good.
            raise Unavailable(f"The connection to etcd broke ({error.code().name}).") from error
        if response is grpc.aio.EOF:
            raise Unavailable("etcd ended the connection.")
        received: pb.WatchResponse = response
        return received

    def _end(self, response: pb.WatchResponse) -> ZunError | Compacted:
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        if response.compact_revision:
            return Compacted(response.compact_revision)
        return Unavailable(f"etcd ended the watch ({response.cancel_reason or 'no reason given'}).")
