# SPDX-License-Identifier: Apache-2.0
"""What the contract needs to know of the runtime under test, and words that make its tests short."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.base import ByteSession, Runtime
from zun.drivers.runtime.types import Capability, Channel, ContainerRequest, Credentials, ExecRequest, LogQuery, Seen
from zun.model.records import SeenState

WAITS = ["sleep", "1000000"]
"""A process that does nothing for longer than any test."""

POLITE = ["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"]
"""Ends with code 3 at SIGTERM."""

STUBBORN = ["sh", "-c", "trap 'echo heard' TERM; echo ready; while :; do sleep 0.05; done"]
"""Hears SIGTERM and stays."""

TRAPS_HUP = ["sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done"]
"""Hears SIGHUP and stays."""

_LOOKS = 20


class RuntimeHarness(Protocol):
    """One per test. What the test made it removes, also when the test failed."""

    runtime: Runtime
    image: str  # has sh, sleep, echo, printf, cat, wc, stty, true, false; its command is sh
    image_with_defaults: str  # has an entrypoint, a command, a working directory, and exposes 8080/tcp
    remote_image: str  # in a registry that asks for nothing, and not in the engine
    remote_digest: str  # the same image by digest: name@sha256:…
    private_image: str  # in a registry that asks for `credentials`
    credentials: Credentials
    default_network: str  # where a container goes that names none; takes no fixed addresses
    network: str  # takes fixed addresses; only where the runtime has networks of choice
    addresses: tuple[str, str, str]  # three free ones on it

    async def reopen(self) -> Runtime:
        """Another runtime of the same owner on the same engine, as after a restart."""

    async def stranger(self) -> Runtime:
        """A runtime of another owner on the same engine."""

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> None:
        """Let time pass until it is so, and fail when it does not become so."""

    async def during(self, act: Awaitable[Any]) -> Any:
        """Await something that needs the time to pass."""

    def volume(self) -> str:
        """The name of a volume that no other test uses."""

    def host_file(self, content: bytes) -> str:
        """The path of a file on the engine's machine."""

    async def applied_limits(self, handle: str) -> tuple[float | None, int | None, str | None]:
        """Cores, MiB and cpus that a running container is really held to, as far from our own word as can be."""


async def needs(harness: RuntimeHarness, capability: Capability) -> None:
    """Skip a test of what a runtime says it lacks: that it refuses is a test of its own."""
    if capability not in (await harness.runtime.containers.fingerprint()).capabilities:
        pytest.skip(f"this runtime declares that it lacks {capability.value}")


async def make(harness: RuntimeHarness, command: list[str] | None = None, **fields: Any) -> str:
    """A container, not started."""
    told: dict[str, Any] = {"uuid": new_uuid(), "generation": 1, "project_id": "p", "image": harness.image} | fields
    return await harness.runtime.containers.create(ContainerRequest(command=command, **told))


async def run(harness: RuntimeHarness, command: list[str] | None = None, **fields: Any) -> str:
    """A container, started."""
    handle = await make(harness, WAITS if command is None else command, **fields)
    await harness.runtime.containers.start(handle)
    return handle


async def becomes(harness: RuntimeHarness, handle: str, state: SeenState) -> Seen:
    """How it looks when it has come into a state; an engine may say the old one for a moment."""

    async def is_so() -> bool:
        return (await harness.runtime.containers.inspect(handle)).state is state

    await harness.until(is_so)
    return await harness.runtime.containers.inspect(handle)


async def ended(harness: RuntimeHarness, handle: str) -> Seen:
    """How it looks when it has ended."""
    return await becomes(harness, handle, SeenState.EXITED)


async def said(harness: RuntimeHarness, handle: str, words: bytes) -> None:
    """Wait until its log has these words."""

    async def has_said() -> bool:
        return words in (await log_of(harness, handle))[Channel.STDOUT]

    await harness.until(has_said)


async def stands_still(harness: RuntimeHarness, amount: Callable[[], int]) -> None:
    """Wait until something that grows has begun to, and has not grown any more at several looks in a row."""
    looks, before = 0, 0

    async def is_so() -> bool:
        nonlocal looks, before
        now = amount()
        looks = looks + 1 if now == before and now else 0
        before = now
        return looks > _LOOKS

    await harness.until(is_so)


async def log_of(harness: RuntimeHarness, handle: str, query: LogQuery | None = None) -> dict[Channel, bytes]:
    """Its log, by channel."""
    told = {Channel.STDOUT: b"", Channel.STDERR: b""}
    async with harness.runtime.streams.logs(handle, query or LogQuery()) as chunks:
        async for chunk in chunks:
            told[chunk.channel] += chunk.data
    return told


async def output_of(session: ByteSession) -> dict[Channel, bytes]:
    """All that a session says until its end."""
    told = {Channel.STDOUT: b"", Channel.STDERR: b""}
    while (chunk := await session.read()) is not None:
        told[chunk.channel] += chunk.data
    return told


async def execute(
    harness: RuntimeHarness, handle: str, argv: list[str], **fields: Any
) -> tuple[bytes, bytes, int | None]:
    """Run a command inside: its two outputs and its exit code."""
    exec_id = await harness.runtime.streams.exec_create(handle, ExecRequest(argv, **fields))
    async with harness.runtime.streams.exec_start(exec_id) as session:
        told = await output_of(session)
        return told[Channel.STDOUT], told[Channel.STDERR], await session.exit_code()


async def pieces(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """Bytes in pieces, as they come from a network."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
