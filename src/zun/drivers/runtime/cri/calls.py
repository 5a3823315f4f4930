# SPDX-License-Identifier: Apache-2.0
"""The wire to the engine: every remote call there is, by name, each with an end and with our errors only.

The CRI's two services and containerd's own lie on the same socket; one table each says which calls are made.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.base.backoff import Backoff
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.errors import from_engine, is_in_the_way
from zun.model.errors import Invalid

Answer = TypeVar("Answer", bound=Message)

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),  # lists of all containers come in one message
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),  # an engine on this machine that restarts is back soon
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
)
_NAMESPACE = (("containerd-namespace", "k8s.io"),)
"""Where the CRI plugin keeps what it makes, among containerd's namespaces."""

_NOT_YET = "server is not initialized yet"
_STARTING = Backoff(first_seconds=0.02, cap_seconds=0.25, attempts=20)
"""How often a call is made again to an engine that has just started and answers that it has done nothing yet."""

SNAPSHOTTER = "overlayfs"
"""How containerd must keep its files."""

RUNTIME, IMAGES = "runtime.v1.RuntimeService", "runtime.v1.ImageService"


class Call(Generic[Answer]):
    """One remote call. `await call(request, "start the container")` raises our errors only."""

    def __init__(self, wire: "Wire", path: str, answer: type[Answer], metadata: tuple[tuple[str, str], ...]) -> None:
        self._wire = wire
        self._metadata = metadata
        self._invoke = wire.channel.unary_unary(
            path, request_serializer=_serialized, response_deserializer=answer.FromString
        )

    async def __call__(self, request: Message, doing: str, *, seconds: float | None = None) -> Answer:
        """Make the call; `seconds` None is the ordinary time, infinity none (for what ends by itself). Raises what `errors.from_engine` gives."""
        limit = self._wire.seconds if seconds is None else seconds
        try:
            try:
                return await self._patiently(request, limit)
            except grpc.aio.AioRpcError as error:
                if self._metadata or not is_in_the_way(error.details() or ""):
                    raise
            await self._wire.mend()
            return await self._patiently(request, limit)
        except grpc.aio.AioRpcError as error:
            raise from_engine(error, doing, endpoint=self._wire.endpoint, seconds=limit) from error

    async def _patiently(self, request: Message, limit: float) -> Answer:
        for delay in _STARTING.delays():
            try:
                return await self._once(request, limit)
            except grpc.aio.AioRpcError as error:
                if _NOT_YET not in (error.details() or ""):
                    raise
            await asyncio.sleep(delay)
        return await self._once(request, limit)

    async def _once(self, request: Message, limit: float) -> Answer:
        timeout = None if limit == math.inf else limit
        answer: Answer = await self._invoke(request, timeout=timeout, metadata=self._metadata)
        return answer


class Wire:
    """A connection to one socket."""

    def __init__(self, endpoint: str, seconds: float) -> None:
        if not endpoint.startswith("unix:///"):
            raise Invalid(f"{endpoint!r} is no address of a CRI engine; write unix:///path/to/containerd.sock.")
        self.endpoint = endpoint
        self.seconds = seconds
        self.mend: Callable[[], Awaitable[None]] = _nothing
        """What to do when a snapshot that containerd forgot is in the way of a call of the CRI; then the call is made again."""
        self.channel = grpc.aio.insecure_channel(endpoint, options=_OPTIONS)

    def unary(self, service: str, name: str, answer: type[Answer]) -> Call[Answer]:
        """A call of a service; containerd's own are told the namespace."""
        metadata = _NAMESPACE if service.startswith("containerd.") else ()
        return Call(self, f"/{service}/{name}", answer, metadata)

    async def close(self) -> None:
        """Let go of the socket."""
        await self.channel.close()


class RuntimeCalls:
    """The CRI's RuntimeService."""

    def __init__(self, wire: Wire) -> None:
        self.version = wire.unary(RUNTIME, "Version", cri.VersionResponse)
        self.status = wire.unary(RUNTIME, "Status", cri.StatusResponse)
        self.run_sandbox = wire.unary(RUNTIME, "RunPodSandbox", cri.RunPodSandboxResponse)
        self.stop_sandbox = wire.unary(RUNTIME, "StopPodSandbox", cri.Nothing)
        self.remove_sandbox = wire.unary(RUNTIME, "RemovePodSandbox", cri.Nothing)
        self.sandbox_status = wire.unary(RUNTIME, "PodSandboxStatus", cri.PodSandboxStatusResponse)
        self.list_sandboxes = wire.unary(RUNTIME, "ListPodSandbox", cri.ListPodSandboxResponse)
        self.create = wire.unary(RUNTIME, "CreateContainer", cri.CreateContainerResponse)
        self.start = wire.unary(RUNTIME, "StartContainer", cri.Nothing)
        self.stop = wire.unary(RUNTIME, "StopContainer", cri.Nothing)
        self.remove = wire.unary(RUNTIME, "RemoveContainer", cri.Nothing)
        self.container_status = wire.unary(RUNTIME, "ContainerStatus", cri.ContainerStatusResponse)
        self.list_containers = wire.unary(RUNTIME, "ListContainers", cri.ListContainersResponse)
        self.update = wire.unary(RUNTIME, "UpdateContainerResources", cri.Nothing)
        self.reopen_log = wire.unary(RUNTIME, "ReopenContainerLog", cri.Nothing)
        self.attach = wire.unary(RUNTIME, "Attach", cri.AttachResponse)


class ImageCalls:
    """The CRI's ImageService."""

    def __init__(self, wire: Wire) -> None:
        self.status = wire.unary(IMAGES, "ImageStatus", cri.ImageStatusResponse)
        self.pull = wire.unary(IMAGES, "PullImage", cri.PullImageResponse)
        self.remove = wire.unary(IMAGES, "RemoveImage", cri.Nothing)


class ContainerdCalls:
    """What is asked of containerd itself."""

    def __init__(self, wire: Wire) -> None:
        tasks = "containerd.services.tasks.v1.Tasks"
        containers = "containerd.services.containers.v1.Containers"
        snapshots = "containerd.services.snapshots.v1.Snapshots"
        self._wire = wire
        self.container = wire.unary(containers, "Get", cd.GetContainerResponse)
        self.list_containers = wire.unary(containers, "List", cd.ListContainersResponse)
        self.delete_container = wire.unary(containers, "Delete", cd.Nothing)
        self.task = wire.unary(tasks, "Get", cd.GetResponse)
        self.kill = wire.unary(tasks, "Kill", cd.Nothing)
        self.exec = wire.unary(tasks, "Exec", cd.Nothing)
        self.start = wire.unary(tasks, "Start", cd.StartResponse)
        self.wait = wire.unary(tasks, "Wait", cd.WaitResponse)
        self.resize = wire.unary(tasks, "ResizePty", cd.Nothing)
        self.close_io = wire.unary(tasks, "CloseIO", cd.Nothing)
        self.delete_process = wire.unary(tasks, "DeleteProcess", cd.DeleteResponse)
        self.delete_task = wire.unary(tasks, "Delete", cd.DeleteResponse)
        self.mounts = wire.unary(snapshots, "Mounts", cd.MountsResponse)
        self.prepare_snapshot = wire.unary(snapshots, "Prepare", cd.MountsResponse)
        self.remove_snapshot = wire.unary(snapshots, "Remove", cd.Nothing)
        self.make_lease = wire.unary("containerd.services.leases.v1.Leases", "Create", cd.Nothing)
        self.delete_lease = wire.unary("containerd.services.leases.v1.Leases", "Delete", cd.Nothing)
        self.delete_image = wire.unary("containerd.services.images.v1.Images", "Delete", cd.Nothing)
        self.ingests = wire.unary("containerd.services.content.v1.Content", "ListStatuses", cd.ListStatusesResponse)
        self.publish = wire.unary("containerd.services.events.v1.Events", "Publish", cd.Nothing)
        self._subscribe = wire.channel.unary_stream(
            "/containerd.services.events.v1.Events/Subscribe",
            request_serializer=_serialized,
            response_deserializer=cd.Envelope.FromString,
        )

    @asynccontextmanager
    async def events(self, filters: list[str]) -> AsyncIterator[AsyncIterator[cd.Envelope]]:
        """Events that pass one of the filters, from now on. The iterator raises our errors when the stream breaks."""
        stream = self._subscribe(cd.SubscribeRequest(filters=filters), metadata=_NAMESPACE)
        try:
            yield self._read(stream)
        finally:
            stream.cancel()

    async def _read(self, stream: Any) -> AsyncIterator[cd.Envelope]:
        try:
            async for envelope in stream:
                yield envelope
        except grpc.aio.AioRpcError as error:
            raise from_engine(error, "tell its events", endpoint=self._wire.endpoint, seconds=None) from error


async def _nothing() -> None:
    return


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()
