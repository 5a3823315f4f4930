# SPDX-License-Identifier: Apache-2.0
"""Who stands at the gate: the node behind a call, by the certificate of its connection, with bounds and until it is a node no more."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from zun.base.clock import Clock
from zun.gate.requests import NotPermitted, Reader
from zun.gate.roster import Roster
from zun.store.accounts import rights_of

_COMMON_NAME = "x509_common_name"
_COMPLAIN_SECONDS = 60.0
_LOG = logging.getLogger(__name__)


class TooMany(Exception):
    """The node makes too many calls at a time."""


class Visitor:
    """A node while it makes calls. `gone`: it is a node no more."""

    def __init__(self, node: str, user: str) -> None:
        self.node = node
        self.user = user
        self.reader = Reader(rights_of(node))
        self.gone = False
        self.calls = 0
        self.reading = asyncio.Lock()
        self._streams: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def staying(self) -> AsyncIterator[None]:
        """While a stream of the node is served, in the present task. Raises `NotPermitted` in it when the node is one no more."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._streams.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self.gone or task.cancelling() > 1:  # the client hung up, or the gate stops
                raise
            task.uncancel()
            raise NotPermitted from None
        finally:
            self._streams.discard(task)

    def leave(self) -> None:
        """End what it has open."""
        self.gone = True
        for task in self._streams:
            task.cancel()


class Visitors:
    """Lets nodes in, and their calls count."""

    def __init__(self, roster: Roster, clock: Clock, most_calls: int) -> None:
        self._roster = roster
        self._clock = clock
        self._most_calls = most_calls
        self._present: dict[str, Visitor] = {}
        self._complained: dict[str, float] = {}

    @asynccontextmanager
    async def admitted(self, connection: Mapping[str, Sequence[bytes]]) -> AsyncIterator[Visitor]:
        """The node of a connection, as long as a call of it lasts.

        Raises `NotPermitted` for whoever is no node, `TooMany`, and `Unavailable` or `Timeout` when it cannot be told.
        """
        user = _user_of(connection)
        node = await self._roster.node_of(user)
        if node is None:
            raise NotPermitted
        visitor = self._present.get(user)
        if visitor is None:
            visitor = self._present[user] = Visitor(node, user)
        if visitor.calls >= self._most_calls:
            raise TooMany
        visitor.calls += 1
        try:
            yield visitor
        finally:
            visitor.calls -= 1
            if not visitor.calls and self._present.get(user) is visitor:
                del self._present[user]

    def send_away(self, user: str) -> None:
        """The user is a node no more: what it has open ends."""
        visitor = self._present.pop(user, None)
        if visitor is not None:
            visitor.leave()

    def complain(self, connection: Mapping[str, Sequence[bytes]], what: str) -> None:
        """Say that somebody tried what it may not do: a sign that a node is not its owner's any more. Once a minute for each."""
        user, now = _user_of(connection), self._clock.monotonic()
        if self._complained.get(user, 0.0) > now:
            return
        if len(self._complained) > 1000:
            self._complained.clear()
        self._complained[user] = now + _COMPLAIN_SECONDS
        _LOG.warning("%r was refused %s: no node, or nothing that a node does", user[:80], what[:80])


def _user_of(connection: Mapping[str, Sequence[bytes]]) -> str:
    names = connection.get(_COMMON_NAME, ())
    return names[0].decode(errors="replace") if len(names) == 1 else ""
