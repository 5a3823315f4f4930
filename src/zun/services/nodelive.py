# SPDX-License-Identifier: Apache-2.0
"""The port to a node's live things: logs, exec, attach, connections to ports, archives, top, stats.

These alone go from the API to the agent directly; life-cycle and state never do. In one process the agent implements it
itself; across machines a client of the agent's stream server does.
Errors as in the runtime port, and `Unavailable` when the node is away.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from zun.drivers.runtime.base import ByteSession, Tunnel
from zun.drivers.runtime.types import Chunk, ExecRequest, LogQuery, PathStat, Stats, Top


class NodeDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself when it is asked. Times are seconds since the epoch, by its own clock.

    `at` is the moment of the answer; `started_at` when its agent started; `version` is the agent's. `engine_error` tells why the engine does not
    answer, then its version is "". `certificate_expires_at` is None where there is no certificate.
    """

    node: str
    at: float
    version: str
    boot_id: str
    started_at: float
    engine: str
    engine_version: str = ""
    engine_error: str = ""
    certificate_expires_at: float | None = None


class NodeLive(Protocol):
    """One node's live things. `uuid` is the container's."""

    def logs(self, uuid: str, query: LogQuery) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Log output; see the runtime port."""

    async def exec_create(self, uuid: str, request: ExecRequest) -> str:
        """Prepare a command; its id lives on that node."""

    def exec_start(self, uuid: str, exec_id: str) -> AbstractAsyncContextManager[ByteSession]:
        """Run a prepared command of this container, once."""

    async def exec_resize(self, uuid: str, exec_id: str, *, width: int, height: int) -> None:
        """Size of its terminal."""

    def attach(self, uuid: str) -> AbstractAsyncContextManager[ByteSession]:
        """Talk to the container's process."""

    async def resize(self, uuid: str, *, width: int, height: int) -> None:
        """Size of the container's terminal."""

    def port_forward(self, uuid: str, port: int) -> AbstractAsyncContextManager[Tunnel]:
        """Connect to a TCP port inside; see the runtime port. Who stops waiting for the tunnel ends it."""

    async def top(self, uuid: str, ps_args: str | None) -> Top:
        """Its processes."""

    async def stats(self, uuid: str) -> Stats:
        """What it uses now."""

    def get_archive(self, uuid: str, path: str) -> AbstractAsyncContextManager[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of `path`."""

    async def put_archive(self, uuid: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar."""

    async def search_images(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """Ask the public registry through this node's engine."""

    async def describe(self) -> NodeDescription:
        """Its clock, versions and certificate, with its engine away too."""


class NodeDirectory(Protocol):
    """Where to find a node's live things."""

    def live(self, node: str) -> NodeLive:
        """The node's port. Raises `Unavailable` with the reason when it is away."""
