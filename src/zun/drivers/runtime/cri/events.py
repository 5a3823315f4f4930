# SPDX-License-Identifier: Apache-2.0
"""What happens to containers: containerd's own events, told when the CRI shows what they say.

containerd tells of an end before its CRI plugin has heard of it. Who looks at once would still see the container running, and not look
again. So an event is passed on when the CRI shows its effect, with that moment's time; events of one container keep their order.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.ids import new_uuid
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import ContainerdCalls
from zun.drivers.runtime.types import RuntimeEvent, RuntimeEventKind
from zun.model.errors import NotFound, Timeout, Unavailable, ZunError

_KINDS = {
    "/tasks/start": RuntimeEventKind.STARTED,
    "/tasks/exit": RuntimeEventKind.EXITED,
    "/tasks/oom": RuntimeEventKind.OOM,
    "/tasks/paused": RuntimeEventKind.PAUSED,
    "/tasks/resumed": RuntimeEventKind.UNPAUSED,
    "/containers/delete": RuntimeEventKind.REMOVED,
}
_MARKER = "/zun/listening"
_FILTERS = [f'namespace==k8s.io,topic=="{topic}"' for topic in (*_KINDS, _MARKER)]
_LISTEN_SECONDS = 10.0
_SETTLING = Backoff(first_seconds=0.002, cap_seconds=0.5, attempts=14)
"""How long the CRI may need to show what containerd told; after that it is passed on anyway."""


class Events:
    """Listens to containerd for one owner."""

    def __init__(self, containerd: ContainerdCalls, attempts: Attempts, clock: Clock) -> None:
        self._containerd = containerd
        self._attempts = attempts
        self._clock = clock

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[RuntimeEvent]]:
        """From now on: a marker of our own is sent, and all that comes after it was sure to be heard."""
        await self._attempts.all()  # what is removed from now on is known by its id
        async with self._containerd.events(_FILTERS) as envelopes:
            await self._wait_until_heard(envelopes)
            listener = _Listener(self._attempts, self._clock, envelopes)
            try:
                yield listener.told()
            finally:
                await listener.close()

    async def _wait_until_heard(self, envelopes: AsyncIterator[cd.Envelope]) -> None:
        """containerd does not say when it has begun to listen; so the marker is sent until it comes back."""
        mark = cd.PublishRequest(topic=_MARKER, event=cd.Any(type_url="zun.listening", value=new_uuid().encode()))
        first = asyncio.ensure_future(anext(envelopes))
        try:
            async with asyncio.timeout(_LISTEN_SECONDS):
                while True:
                    await self._containerd.publish(mark, "tell its events")
                    if (await asyncio.wait({first}, timeout=0.05))[0]:
                        if (await first).event.value == mark.event.value:
                            return
                        first = asyncio.ensure_future(anext(envelopes))
        except (TimeoutError, StopAsyncIteration) as error:
            raise Unavailable("The engine does not tell its events; look at its log.") from error
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)


class _Listener:
    """Turns containerd's events into ours. Each container has a chain of tasks: none overtakes another."""

    def __init__(self, attempts: Attempts, clock: Clock, envelopes: AsyncIterator[cd.Envelope]) -> None:
        self._attempts = attempts
        self._clock = clock
        self._queue: asyncio.Queue[RuntimeEvent | Exception] = asyncio.Queue()
        self._last: dict[str, asyncio.Task[None]] = {}
        self._at = 0.0
        self._reading = asyncio.create_task(self._read(envelopes))

    async def told(self) -> AsyncIterator[RuntimeEvent]:
        """The events. Raises `Unavailable` when the stream breaks."""
        while True:
            event = await self._queue.get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def close(self) -> None:
        """Listen no more."""
        tasks = [self._reading, *self._last.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, envelopes: AsyncIterator[cd.Envelope]) -> None:
        try:
            async for envelope in envelopes:
                kind, container_id = _meaning(envelope)
                if kind is not None:
                    self._chain(kind, container_id)
            raise Unavailable("The engine's event stream ended; list the containers and listen again.")
        except (Unavailable, Timeout) as error:
            self._queue.put_nowait(error)

    def _chain(self, kind: RuntimeEventKind, container_id: str) -> None:
        before = self._last.get(container_id)
        task = asyncio.create_task(self._pass_on(kind, container_id, before))
        self._last[container_id] = task
        task.add_done_callback(lambda done: self._unchain(container_id, done))

    def _unchain(self, container_id: str, done: "asyncio.Task[None]") -> None:
        if self._last.get(container_id) is done:
            del self._last[container_id]

    async def _pass_on(self, kind: RuntimeEventKind, container_id: str, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        try:
            which = await self._attempts.whose(container_id)
            if which is None:
                return
            if kind is RuntimeEventKind.REMOVED:
                kind = RuntimeEventKind.OTHER if self._attempts.is_replaced(container_id) else kind
            elif which.uuid:
                await self._settled(kind, container_id)
            elif kind is RuntimeEventKind.EXITED:
                await self._sandbox_settled(container_id)
        except ZunError as error:
            self._queue.put_nowait(Unavailable(f"What an event was about could not be found out: {error.message}"))
            return
        self._at = max(self._at, self._clock.now())
        event = RuntimeEvent(
            kind=kind,
            handle=which.handle if which.uuid else container_id,
            uuid=which.uuid,
            at=self._at,
            capsule=self._attempts.capsule_of(container_id),
        )
        self._queue.put_nowait(event)

    async def _sandbox_settled(self, sandbox_id: str) -> None:
        for delay in _SETTLING.delays():
            if not await self._attempts.is_sandbox_ready(sandbox_id):
                return
            await self._clock.sleep(delay)

    async def _settled(self, kind: RuntimeEventKind, container_id: str) -> None:
        unlike = {
            RuntimeEventKind.STARTED: {cri.CONTAINER_CREATED},
            RuntimeEventKind.EXITED: {cri.CONTAINER_CREATED, cri.CONTAINER_RUNNING},
        }.get(kind, set())
        if not unlike:
            return
        for delay in _SETTLING.delays():
            try:
                if (await self._attempts.status(container_id)).state not in unlike:
                    return
            except NotFound:
                return
            await self._clock.sleep(delay)


def _meaning(envelope: cd.Envelope) -> tuple[RuntimeEventKind | None, str]:
    """The kind and the container; no kind for what is not about a container's own process."""
    kind = _KINDS.get(envelope.topic)
    if kind is None:
        return None, ""
    if kind is RuntimeEventKind.REMOVED:
        return kind, cd.ContainerEvent.FromString(envelope.event.value).id
    if kind is RuntimeEventKind.EXITED:
        told = cd.TaskExit.FromString(envelope.event.value)
        return (kind, told.container_id) if told.id == told.container_id else (None, "")
    return kind, cd.TaskEvent.FromString(envelope.event.value).container_id
