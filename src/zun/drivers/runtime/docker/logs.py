# SPDX-License-Identifier: Apache-2.0
"""Logs of a Docker engine, whole also when they are followed.

The engine ends a followed log when the container ends, even when it has not handed out all of it yet (seen with 20.10 and its `local`
log driver: of 200,000 lines written at once some 40,000 arrive). So what is missing is read afterwards: entries carry
their time, which is asked for and taken off again, and reading goes on behind the last one that arrived.
"""

import calendar
import struct
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from zun.drivers.runtime.docker.demultiplex import Demultiplexer
from zun.drivers.runtime.docker.engine import Engine, Incoming
from zun.drivers.runtime.docker.terminals import Terminals
from zun.drivers.runtime.types import Channel, Chunk, LogQuery
from zun.model.errors import NotFound

_FLAGS = {True: "1", False: "0"}
_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_STAMP = len("2006-01-02T15:04:05.000000000Z ")
_TERMINAL_BYTES = 4 << 20
"""A terminal's log has no entries to count; up to this length it has not been rotated and its bytes can be counted."""


class DockerLogs:
    """Reads and follows logs."""

    def __init__(self, engine: Engine, terminals: Terminals) -> None:
        self._engine = engine
        self._terminals = terminals

    @asynccontextmanager
    async def open(self, handle: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        """See the port."""
        tty = await self._terminals.of_container(handle)
        params = _params(query)
        if query.follow and not tty:
            params["timestamps"] = "1"
        async with self._read(handle, params) as incoming:
            if not query.follow:
                chunks = _plain(incoming, tty=tty)
            elif tty:
                chunks = self._follow_terminal(handle, query, incoming)
            else:
                chunks = self._follow_entries(handle, query, incoming)
            async with aclosing(chunks):
                yield chunks

    @asynccontextmanager
    async def _read(self, handle: str, params: dict[str, str]) -> AsyncIterator[Incoming]:
        follow = params["follow"] == "1"
        async with self._engine.stream(
            "GET",
            f"containers/{handle}/logs",
            "read the log",
            params=params,
            idle_seconds=None if follow else self._engine.options.idle_seconds,
            answer_seconds=self._engine.options.call_seconds,
        ) as incoming:
            yield incoming

    async def _follow_entries(self, handle: str, query: LogQuery, incoming: Incoming) -> AsyncGenerator[Chunk, None]:
        last, of_last = "", 0
        entries = _Entries()
        async for piece in incoming.pieces():
            found = entries.feed(piece)
            for entry in found:
                if entry.stamp:
                    of_last = of_last + 1 if entry.stamp == last else 1
                    last = entry.stamp
            for chunk in _shown(found, query):
                yield chunk
        rest = _params(query) | {"follow": "0", "timestamps": "1"}
        if last:
            rest |= {"since": _since(last), "tail": "all"}
        skip, skipping = of_last, False
        try:
            async with self._read(handle, rest) as missing:
                entries = _Entries()
                async for piece in missing.pieces():
                    found = []
                    for entry in entries.feed(piece):
                        if entry.stamp:
                            skipping = skip > 0 and entry.stamp == last
                            skip -= skipping
                        if not skipping:
                            found.append(entry)
                    for chunk in _shown(found, query):
                        yield chunk
        except NotFound:
            return  # it was removed meanwhile, and its log with it

    async def _follow_terminal(self, handle: str, query: LogQuery, incoming: Incoming) -> AsyncGenerator[Chunk, None]:
        had = 0
        async for piece in incoming.pieces():
            had += len(piece)
            yield Chunk(Channel.STDOUT, piece)
        if query.tail is not None or had > _TERMINAL_BYTES:
            return
        try:
            async with self._read(handle, _params(query) | {"follow": "0"}) as whole:
                async for piece in whole.pieces():
                    if len(piece) > had:
                        yield Chunk(Channel.STDOUT, piece[had:])
                    had = max(0, had - len(piece))
        except NotFound:
            return


class _Entry(NamedTuple):
    """The beginning of a log entry (with its time, without data), or a piece of its data."""

    channel: Channel
    stamp: str
    data: bytes


class _Entries:
    """Takes a log with times apart: one frame of the engine is one entry, and begins with its time."""

    def __init__(self) -> None:
        self._kept = b""
        self._left = 0
        self._channel = Channel.STDOUT

    def feed(self, data: bytes) -> list[_Entry]:
        """What these bytes add."""
        data = self._kept + data
        found = []
        at = 0
        while at < len(data):
            if self._left == 0:
                if len(data) - at < _HEADER.size + _STAMP:
                    break
                number, length = _HEADER.unpack_from(data, at)
                self._channel = Channel.STDERR if number == _STDERR else Channel.STDOUT
                at += _HEADER.size
                found.append(_Entry(self._channel, data[at : at + _STAMP].decode("ascii", "replace"), b""))
                at += _STAMP
                self._left = length - _STAMP
                continue
            piece = data[at : at + self._left]
            self._left -= len(piece)
            at += len(piece)
            found.append(_Entry(self._channel, "", piece))
        self._kept = data[at:]
        return found


def _shown(entries: Iterable[_Entry], query: LogQuery) -> Iterator[Chunk]:
    """What is told of entries: neighbours on one channel together, for a line each would cost more than it says."""
    for channel, neighbours in groupby(entries, key=attrgetter("channel")):
        data = b"".join(
            entry.stamp.encode() if entry.stamp and query.timestamps else entry.data for entry in neighbours
        )
        if data:
            yield Chunk(channel, data)


def _since(stamp: str) -> str:
    """An entry's time as the engine takes it: seconds and nanoseconds since the epoch."""
    seconds = calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    return f"{seconds}.{stamp[20:29]}"


def _params(query: LogQuery) -> dict[str, str]:
    params = {
        "stdout": _FLAGS[query.stdout],
        "stderr": _FLAGS[query.stderr],
        "follow": _FLAGS[query.follow],
        "timestamps": _FLAGS[query.timestamps],
        "tail": "all" if query.tail is None else str(query.tail),
    }
    if query.since is not None:
        params["since"] = f"{query.since:.9f}"
    return params


async def _plain(incoming: Incoming, *, tty: bool) -> AsyncGenerator[Chunk, None]:
    parser = Demultiplexer(tty=tty)
    async for piece in incoming.pieces():
        for chunk in parser.feed(piece):
            yield chunk
