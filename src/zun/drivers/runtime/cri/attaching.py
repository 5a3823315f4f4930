# SPDX-License-Identifier: Apache-2.0
"""Talking to a container's own process.

Input goes through the engine's streaming server. Output comes from there for a process that runs already. For one that has not begun,
which the engine lets nobody attach to, it comes from the log first (see `splice.py`). Where the input ends with the session, output
comes from the log alone: the only way to end that input is to end the conversation, and the rest is still to be read.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import RuntimeCalls
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.live_stream import LiveStream
from zun.drivers.runtime.cri.logs import Logs
from zun.drivers.runtime.cri.splice import Splice
from zun.drivers.runtime.cri.starts import Starts
from zun.drivers.runtime.types import Channel, Chunk, LogQuery
from zun.model.errors import Conflict, NotFound, ZunError

T = TypeVar("T")

_LOOK_SECONDS = 0.5
_QUIET_SECONDS = 0.05
"""So long both log and stream have to stand still before they are compared."""

_MOST_CHUNKS = 64
_SETTLING = Backoff(first_seconds=0.005, cap_seconds=0.25, attempts=12)
_NO_INPUT = "Its standard input is closed: it has none, the process has ended, or its end of input was sent already."


class Attaching:
    """Opens sessions with containers' own processes."""

    def __init__(self, calls: RuntimeCalls, attempts: Attempts, logs: Logs, starts: Starts, clock: Clock) -> None:
        self._calls = calls
        self._attempts = attempts
        self._logs = logs
        self._starts = starts
        self._clock = clock

    @asynccontextmanager
    async def open(self, handle: str) -> AsyncIterator["AttachSession"]:
        """Talk to the process. Raises `Conflict` when it has ended."""
        which = identity_of(handle)
        status, _ = await self._attempts.shown(which)
        if status.state not in {cri.CONTAINER_CREATED, cri.CONTAINER_RUNNING}:
            raise Conflict("The container has ended; start it before attaching.")
        session = AttachSession(self, which, status)
        async with session.opened(self._logs):
            yield session

    async def stream(self, which: Identity, *, tty: bool, has_input: bool, output: bool) -> LiveStream | None:
        """The engine's own stream, as soon as the container runs; None when it has ended before.

        What is asked for must be read: the engine waits for us with the container's output.
        """
        while True:
            found, _ = await self._attempts.shown(which)
            if found.state == cri.CONTAINER_RUNNING:
                break
            if found.state != cri.CONTAINER_CREATED:
                return None
            await self._starts.wait(which.handle, _LOOK_SECONDS)
        request = cri.AttachRequest(
            container_id=found.id, stdin=has_input, tty=tty, stdout=output, stderr=output and not tty
        )
        try:
            told = await self._calls.attach(request, "attach to the container")
            return await LiveStream.open(told.url)
        except (Conflict, NotFound):
            return None

    async def exit_code(self, which: Identity) -> int | None:
        """The container's exit code, when the engine has written it down; None while it runs on."""
        for delay in _SETTLING.delays():
            try:
                status, _ = await self._attempts.shown(which)
            except NotFound:
                return None
            if status.state == cri.CONTAINER_EXITED:
                return status.exit_code
            await self._clock.sleep(delay)
        return None


class AttachSession:
    """Implements `ByteSession` for a container's own process."""

    def __init__(self, attaching: Attaching, which: Identity, status: cri.ContainerStatus) -> None:
        marks = status.annotations
        self._attaching = attaching
        self._which = which
        self._tty = bool(marks.get(labels.TTY))
        self._has_input = bool(marks.get(labels.STDIN))
        self._once = bool(marks.get(labels.ONCE)) and not self._tty
        self._fresh = status.state == cri.CONTAINER_CREATED
        self._chunks: asyncio.Queue[Chunk | ZunError | None] = asyncio.Queue(_MOST_CHUNKS)
        self._stream: asyncio.Task[LiveStream | None] | None = None
        self._splices = {channel: Splice() for channel in ((Channel.STDOUT,) if self._tty else tuple(Channel))}
        self._moved = 0
        self._over = False
        self._input_open = True

    @asynccontextmanager
    async def opened(self, logs: Logs) -> AsyncIterator[None]:
        """Around the session: what feeds it."""
        wanted = self._attaching.stream(self._which, tty=self._tty, has_input=self._has_input, output=not self._once)
        stream = self._stream = asyncio.create_task(wanted)
        feeding: asyncio.Task[None] | None = None
        try:
            if self._once or self._fresh:
                async with logs.open(self._which.handle, LogQuery(tail=0, follow=True)) as lines:
                    feeding = asyncio.create_task(self._feed_from_log(lines))
                    yield
            else:
                await stream
                feeding = asyncio.create_task(self._feed_from_stream())
                yield
        finally:
            await _cancelled(feeding)
            if (opened := await _cancelled(stream)) is not None:
                await opened.close()

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end. Raises `Unavailable` when the engine went away."""
        if self._over:
            return None
        chunk = await self._chunks.get()
        self._over = not isinstance(chunk, Chunk)
        if isinstance(chunk, ZunError):
            raise chunk
        return chunk

    async def write(self, data: bytes) -> None:
        """To the process's stdin; what is written before the start waits for it."""
        if not self._has_input or not self._input_open or self._stream is None:
            raise Conflict(_NO_INPUT)
        stream = await asyncio.shield(self._stream)
        if stream is None:
            raise Conflict(_NO_INPUT)
        await stream.write(data)

    async def close_stdin(self) -> None:
        """End of input. Where that is not for one session only, it stays open for whoever attaches next."""
        if not self._input_open:
            return
        self._input_open = False
        if self._once and self._stream is not None:
            stream = await asyncio.shield(self._stream)
            if stream is not None:
                await stream.close()

    async def exit_code(self) -> int | None:
        """The container's exit code, once `read` has returned None."""
        return await self._attaching.exit_code(self._which)

    async def _feed_from_stream(self) -> None:
        await self._end_with(await _outcome(self._follow_stream()))

    async def _feed_from_log(self, lines: AsyncIterator[Chunk]) -> None:
        """The log, and beside it the stream, which takes over when the two were seen to agree."""
        following = asyncio.create_task(_outcome(self._follow_log(lines)))
        streaming = asyncio.create_task(_outcome(self._follow_stream()))
        try:
            while self._fresh and not self._once and not following.done() and not streaming.done():
                before = self._moved
                await asyncio.wait({following, streaming}, timeout=_QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if before == self._moved:
                    await self._join()
                if all(splice.joined for splice in self._splices.values()):
                    await _cancelled(following)
                    break
            if not following.cancelled():
                await self._end_with(await following)
            else:
                await self._end_with(await streaming)
        finally:
            await _cancelled(following)
            await _cancelled(streaming)

    async def _follow_log(self, lines: AsyncIterator[Chunk]) -> None:
        async for chunk in lines:
            self._moved += 1
            splice = self._splices[chunk.channel]
            await self._tell(chunk.channel, splice.from_log(chunk.data))

    async def _follow_stream(self) -> None:
        assert self._stream is not None  # noqa: S101 - set before
        stream = await asyncio.shield(self._stream)
        while stream is not None and not self._once and (chunk := await stream.read()) is not None:
            self._moved += 1
            data = self._splices[chunk.channel].from_stream(chunk.data) if self._fresh else chunk.data
            await self._tell(chunk.channel, data)

    async def _join(self) -> None:
        for channel, splice in self._splices.items():
            await self._tell(channel, splice.quiet())

    async def _tell(self, channel: Channel, data: bytes) -> None:
        if data:
            await self._chunks.put(Chunk(channel, data))

    async def _end_with(self, error: ZunError | None) -> None:
        await self._chunks.put(error)


async def _outcome(work: Coroutine[None, None, None]) -> ZunError | None:
    """None, or the error it ended with."""
    try:
        await work
    except ZunError as error:
        return error
    return None


async def _cancelled(task: "asyncio.Task[T] | None") -> "T | None":
    """What a task gave, when it had ended well; else it is ended now."""
    if task is None:
        return None
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    return None if isinstance(result, BaseException) else result
