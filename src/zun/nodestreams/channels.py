# SPDX-License-Identifier: Apache-2.0
"""An API server's connections to nodes: one each, opened when it is needed, closed when nobody needs it, bounded in number."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc.aio

from zun.base.clock import Clock
from zun.model.errors import Unavailable
from zun.nodestreams.addresses import Address
from zun.nodestreams.options import NodeStreamOptions
from zun.nodestreams.protocol import client_arguments
from zun.nodestreams.security import ClientSecurity

_LOG = logging.getLogger(__name__)
_SWEEP_SECONDS = 5.0


class Connection:
    """One channel. `open` calls use it; `gone` says that it was closed under them."""

    def __init__(self, channel: grpc.aio.Channel, address: Address, generation: int) -> None:
        self.channel = channel
        self.address = address
        self.generation = generation
        self.open = 0
        self.used_at = 0.0
        self.gone = False


class Channels:
    """The connections by node. `run` must be running: it closes what is not needed."""

    def __init__(self, security: ClientSecurity, options: NodeStreamOptions, clock: Clock) -> None:
        self._security = security
        self._options = options
        self._clock = clock
        self._arguments = client_arguments(options)
        self._current: dict[str, Connection] = {}
        self._retired: list[tuple[str, Connection]] = []
        self._closed = False

    def __len__(self) -> int:
        """How many there are."""
        return len(self._current) + len(self._retired)

    @contextmanager
    def use(self, node: str, address: Address) -> Iterator[Connection]:
        """The connection to a node, for one call. Raises `Unavailable` when there can be none."""
        connection = self._find(node, address)
        connection.open += 1
        try:
            yield connection
        finally:
            connection.open -= 1
            connection.used_at = self._clock.monotonic()

    async def run(self, known: Callable[[str], bool]) -> NoReturn:
        """Close, until cancelled, what nobody used for long, what was replaced and is not used any more, and at once what leads to a node
        that is not `known` any more."""
        while True:
            await self._clock.sleep(min(_SWEEP_SECONDS, self._options.idle_seconds))
            await self.sweep(known)

    async def sweep(self, known: Callable[[str], bool]) -> None:
        """One turn of `run`."""
        too_old = self._clock.monotonic() - self._options.idle_seconds
        for node, connection in list(self._current.items()):
            if not known(node) or (not connection.open and connection.used_at <= too_old):
                self._retire(node)
        await self._close([(node, old) for node, old in self._retired if not old.open or not known(node)])

    async def close(self) -> None:
        """Close all, with what they carry."""
        self._closed = True
        for node in list(self._current):
            self._retire(node)
        await self._close(list(self._retired))

    def _find(self, node: str, address: Address) -> Connection:
        if self._closed:
            raise Unavailable("This API server stops; ask another, or try again in a moment.")
        generation = self._security.generation()
        found = self._current.get(node)
        if found is not None and (found.address, found.generation) == (address, generation):
            return found
        if found is not None:
            self._retire(node)
        self._make_room()
        channel = self._security.connect(node, address, self._arguments)
        made = self._current[node] = Connection(channel, address, generation)
        return made

    def _make_room(self) -> None:
        if len(self._current) < self._options.most_nodes:
            return
        idle = [(connection.used_at, node) for node, connection in self._current.items() if not connection.open]
        if not idle:
            raise Unavailable(
                f"This API server is connected to {len(self._current)} nodes, which is all it may; try again later."
            )
        self._retire(min(idle)[1])

    def _retire(self, node: str) -> None:
        self._retired.append((node, self._current.pop(node)))

    async def _close(self, leaving: list[tuple[str, Connection]]) -> None:
        self._retired = [each for each in self._retired if each not in leaving]
        for node, connection in leaving:
            _LOG.debug("The connection to node %s (%s) is closed", node, connection.address)
            connection.gone = True
        await asyncio.gather(*(connection.channel.close() for _, connection in leaving))
