# SPDX-License-Identifier: Apache-2.0
"""One connection to one member of etcd, from the handshake to its end; it is never made again, a new one takes its place.

A connection is admitted before it carries anything: the member must be new enough, know a leader, and belong to the right
cluster. So a member that was replaced, restored or separated is found out whenever it is connected to.
"""

import asyncio
import re
from contextlib import suppress
from typing import Any, Protocol

import grpc
import grpc.aio

from zun.base.clock import Clock
from zun.model.errors import Invalid, Unsupported, ZunError
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.address import Address
from zun.store.etcd.channel import REQUIRE_LEADER, Calls, Stream, open_channel
from zun.store.etcd.diagnosis import why_not_connected
from zun.store.etcd.tls import Credentials

CONNECT_SECONDS = 2.0
"""So long may a handshake take, and so long the answer to a first question."""

OLDEST_VERSION = (3, 4, 0)
_TRUE_PROGRESS = ((3, 4, 31), (3, 5, 13), (3, 6, 0))


class Refused(Exception):
    """A member cannot be used; `reason` is a sentence about it. `lasting`: trying again will not help before something changes.

    `kind` is what it is then.
    """

    def __init__(self, address: Address, reason: str, *, lasting: bool = False, kind: type[ZunError] = Invalid) -> None:
        super().__init__(f"{address} {reason}")
        self.address = address
        self.reason = reason
        self.lasting = lasting
        self.kind = kind


class _Call(Protocol):
    def cancel(self) -> bool: ...


class Connection:
    """See the module. `heard_at`: when the member last answered anything (monotonic)."""

    def __init__(self, address: Address, credentials: Credentials | None, clock: Clock) -> None:
        """Use `connect`."""
        self.address = address
        self.retired = False
        self.progress_is_true = False
        self.cluster_id = 0
        self.heard_at = clock.monotonic()
        self.streams: set[Stream] = set()
        self._clock = clock
        self._channel = open_channel(address, credentials)
        self._under_way: set[_Call] = set()
        self._quiet = asyncio.Event()
        self.calls = Calls(self._channel)

    @classmethod
    async def connect(cls, address: Address, credentials: Credentials | None, clock: Clock) -> "Connection":
        """A connection to a member that can be used. Raises `Refused`, naming the reason; never takes longer than a few seconds."""
        made = cls(address, credentials, clock)
        try:
            await made._handshake(credentials)
            await made.look()
        except BaseException:
            await made._channel.close()
            raise
        return made

    def is_usable(self) -> bool:
        """Whether it is connected and nobody gave it up."""
        return not self.retired and self._channel.get_state() is grpc.ChannelConnectivity.READY

    async def ask(self, call: Any, request: Any, seconds: float) -> Any:
        """A unary call. Raises `grpc.aio.AioRpcError`, or `asyncio.CancelledError` when the connection is retired, before or meanwhile."""
        if self.retired:
            raise asyncio.CancelledError  # its channel may be closed
        asked = call(request, timeout=seconds, metadata=REQUIRE_LEADER)
        self._under_way.add(asked)
        try:
            answer = await asked
        finally:
            self._under_way.discard(asked)
            if not self._under_way:
                self._quiet.set()
        self.heard()
        return answer

    def heard(self) -> None:
        """The member answered something."""
        self.heard_at = self._clock.monotonic()

    def stream(self, call: Any) -> Stream:
        """A two-way stream, which ends when the member loses its leader, or the connection is retired."""
        opened: Stream = call(metadata=REQUIRE_LEADER)
        self.streams.add(opened)
        return opened

    def end_stream(self, stream: Stream) -> None:
        """Cancel a stream and forget it."""
        stream.cancel()
        self.streams.discard(stream)

    async def look(self) -> None:
        """Whether the member is alive and has a leader; asks nobody but itself. Raises `Refused`."""
        self._check(await self.status())

    async def status(self) -> Any:
        """What the member says of itself (`StatusResponse`), within a bounded time. Raises `Refused` when it says nothing."""
        try:
            return await self.ask(self.calls.status, pb.StatusRequest(), CONNECT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise Refused(self.address, _unanswered(error)) from error
        except asyncio.CancelledError:
            if was_retired(self):
                raise Refused(self.address, "was given up meanwhile.") from None
            raise

    def retire(self) -> None:
        """Give it up: all that is under way on it ends at once. `close` must follow."""
        self.retired = True
        for call in (*self._under_way, *self.streams):
            call.cancel()

    async def close(self) -> None:
        """Give it up and let the network have it back."""
        self.retire()
        await self._channel.close()

    async def replace(self, seconds: float) -> None:
        """Another takes its place: streams move at once, calls that are under way may end within `seconds`."""
        self.retired = True
        for stream in self.streams:
            stream.cancel()
        if self._under_way:
            self._quiet.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._quiet.wait()
        await self.close()

    async def _handshake(self, credentials: Credentials | None) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                state = self._channel.get_state(try_to_connect=True)
                while state is not grpc.ChannelConnectivity.READY:
                    if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                        break
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state()
                else:
                    return
        except TimeoutError:
            pass
        reason, lasting = await why_not_connected(self.address, credentials, self._clock)
        raise Refused(self.address, reason, lasting=lasting)

    def _check(self, status: pb.StatusResponse) -> None:
        version = _numbers(status.version)
        if version < OLDEST_VERSION:
            reason = f"runs etcd {status.version or 'of an unknown version'}; use 3.4 or newer."
            raise Refused(self.address, reason, lasting=True, kind=Unsupported)
        if status.is_learner:
            reason = "is a learner, which serves no clients; promote it, or name another member."
            raise Refused(self.address, reason, lasting=True)
        if not status.leader:
            raise Refused(self.address, "has no leader: most members of its cluster are down or cannot reach it.")
        self.cluster_id = status.header.cluster_id
        self.progress_is_true = _progress_is_true(version)


def was_retired(connection: Connection) -> bool:
    """Whether a cancellation that was just caught was the connection's end, and not that of the task."""
    task = asyncio.current_task()
    return connection.retired and task is not None and not task.cancelling()


def _unanswered(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "is connected, but does not answer; check whether it hangs."
    if "no leader" in (error.details() or ""):
        return "has no leader: most members of its cluster are down or cannot reach it."
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "is no etcd that speaks version 3 of its protocol; check host and port."
    return f"does not say how it is ({error.details() or error.code().name}); look at its log."


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(part) for part in found.groups()) if found else (0, 0, 0)


def _progress_is_true(version: tuple[int, ...]) -> bool:
    """Whether an etcd answers a request for progress in order with the events: older ones may announce too much."""
    return any(version[:2] == fixed[:2] and version >= fixed for fixed in _TRUE_PROGRESS) or version >= (3, 7, 0)
