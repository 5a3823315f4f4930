# SPDX-License-Identifier: Apache-2.0
"""The wire to the engine: one call is one round trip on a kept connection; streams are handed on piece by piece.

Plain HTTP through aiohttp (docs/decisions/0005-docker-over-plain-http.md says why).
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from zun.drivers.runtime.docker.address import EngineAddress
from zun.drivers.runtime.docker.errors import from_engine, translated
from zun.drivers.runtime.docker.options import DockerOptions
from zun.model.errors import Invalid, Unavailable

_NEWEST_VERSION = (1, 41)
_ERROR = 300
_NOT_MODIFIED = 304
_LONGEST_LINE = 8 << 20
_LONGEST_ERROR = 64 << 10
_KEEP_SECONDS = 60.0
_PATH = re.compile(r"[A-Za-z0-9_.:@/%-]+")
PIECE = 64 << 10
"""Streams are read in pieces of at most so many bytes."""


class Engine:
    """A Docker engine, connected."""

    def __init__(self, address: EngineAddress, options: DockerOptions) -> None:
        self.address = address
        self.options = options
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=options.connect_seconds)
        self._session = aiohttp.ClientSession(connector=address.connector(_KEEP_SECONDS), timeout=timeout)
        self._version = ""

    async def connect(self) -> None:
        """Agree on the version: the one this is written for, unless the engine knows only others. Raises `Unavailable`."""
        told = await self.call("GET", "version", "say its version", seconds=self.options.connect_seconds)
        newest, oldest = _version(told["ApiVersion"]), _version(told.get("MinAPIVersion", "1.12"))
        major, minor = max(oldest, min(newest, _NEWEST_VERSION))
        self._version = f"/v{major}.{minor}"

    async def close(self) -> None:
        """Let go of all connections."""
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float | None = None,
    ) -> Any:
        """One request and its decoded answer (None when it has none)."""
        limit = self.options.call_seconds if seconds is None else seconds
        data = None if body is None else msgspec.json.encode(body)
        async with (
            translated(self.address.url, doing, limit),
            self._session.request(
                method, self._url(path), params=params, data=data, headers={"Content-Type": "application/json"}
            ) as response,
        ):
            raw = await response.read()
            if response.status >= _ERROR and response.status != _NOT_MODIFIED:
                raise from_engine(response.status, _message(raw), doing)
            return msgspec.json.decode(raw) if raw.strip() else None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
        idle_seconds: float | None = None,
        answer_seconds: float | None = None,
    ) -> AsyncIterator["Incoming"]:
        """A request whose answer flows. It may stand still for `idle_seconds` (None: for ever) before it is given up."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.options.connect_seconds, sock_read=idle_seconds)
        async with translated(self.address.url, doing, answer_seconds):
            response = await self._session.request(
                method, self._url(path), params=params, headers=headers, data=body, timeout=timeout
            )
        try:
            if response.status >= _ERROR:
                async with translated(self.address.url, doing, self.options.call_seconds):
                    raw = await response.content.read(_LONGEST_ERROR)
                raise from_engine(response.status, _message(raw), doing)
            yield Incoming(response, self.address.url, doing)
        finally:
            _abandon(response)

    def path(self, path: str) -> str:
        """A path with the agreed version. Raises `Invalid` for one that would mean another call than was written down."""
        if not _PATH.fullmatch(path) or ".." in path.split("/"):
            raise Invalid(
                "An id or name holds characters that Docker does not know in ids and names; look it up again."
            )
        return f"{self._version}/{path}"

    def _url(self, path: str) -> str:
        return f"{self.address.base}{self.path(path)}"


class Incoming:
    """An answer that flows. Its errors are ours."""

    def __init__(self, response: aiohttp.ClientResponse, url: str, doing: str) -> None:
        self._response = response
        self._url = url
        self._doing = doing

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        return self._response.headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes as they come."""
        while piece := await self._read():
            yield piece

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Its JSON documents, one a line."""
        rest = b""
        while piece := await self._read():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    yield msgspec.json.decode(line)
            if len(rest) > _LONGEST_LINE:
                raise Unavailable(f"Docker sent a line without an end while it was to {self._doing}; look at its log.")
        if rest.strip():
            yield msgspec.json.decode(rest)

    async def _read(self) -> bytes:
        async with translated(self._url, self._doing, None):
            return await self._response.content.read(PIECE)


def _abandon(response: aiohttp.ClientResponse) -> None:
    """Let go of what is left of an answer, and of a request that the engine does not take any more of."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _message(raw: bytes) -> str:
    try:
        told = json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
    return str(told.get("message", told)) if isinstance(told, dict) else str(told)
