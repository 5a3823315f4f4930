# SPDX-License-Identifier: Apache-2.0
"""Strangers can neither fill the memory nor hold connections by never finishing what they ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from support.api import api_world
from zun.api.options import ApiOptions
from zun.api.server import listen, serve

PATIENCE_SECONDS = 60.0
HEAD = b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n"


@asynccontextmanager
async def listening(seconds: float) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a service where a head may take so long."""
    options = ApiOptions(port=0, stop_seconds=1, body_timeout_seconds=seconds)
    async with api_world(options=options) as api:
        socket = listen(options)
        port = socket.getsockname()[1]
        serving = asyncio.create_task(serve(api.app, options, socket))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield reader, writer
        finally:
            writer.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The next answer, whole; its body is `OK`."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(2)


async def test_a_head_without_end_is_cut_off() -> None:
    async with listening(seconds=60) as (reader, writer):
        writer.write(HEAD + b"X-More: ")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"a" * 65_536)
                await writer.drain()
                await asyncio.sleep(0)


@pytest.mark.parametrize("begun", [b"", HEAD])
async def test_who_does_not_finish_a_head_is_cut_off(begun: bytes) -> None:
    async with listening(seconds=0.1) as (reader, writer):
        writer.write(begun)
        assert await reader.read() == b""


async def test_a_second_head_must_come_in_time_too() -> None:
    async with listening(seconds=0.1) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        assert (await answer(reader)).endswith(b"OK")
        writer.write(HEAD)
        assert await reader.read() == b""


async def test_requests_one_after_the_other_are_answered_on_one_connection() -> None:
    async with listening(seconds=60) as (reader, writer):
        for _ in range(3):
            for piece in (HEAD[:10], HEAD[10:], b"X-Long: " + b"a" * 60_000, b"\r\n\r\n"):
                writer.write(piece)
                await writer.drain()
            assert (await answer(reader)).startswith(b"HTTP/1.1 200")
