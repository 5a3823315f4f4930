# SPDX-License-Identifier: Apache-2.0
"""Reading ahead: bounded, in order, and what went wrong comes after what went well."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import Unavailable
from zun.services.reading_ahead import AHEAD_BYTES, BATCH_BYTES, Outbox, reading_ahead

OUT, ERR = Channel.STDOUT, Channel.STDERR


async def lines(*said: Chunk) -> AsyncIterator[Chunk]:
    for chunk in said:
        yield chunk


async def test_lines_that_are_there_come_as_one_piece_and_channels_stay_in_order() -> None:
    said = [Chunk(OUT, b"a\n"), Chunk(OUT, b"b\n"), Chunk(ERR, b"c\n"), Chunk(OUT, b"d\n")]
    async with reading_ahead(lines(*said)) as ahead:
        assert [chunk async for chunk in ahead] == [Chunk(OUT, b"a\nb\n"), Chunk(ERR, b"c\n"), Chunk(OUT, b"d\n")]
    async with reading_ahead(lines(*said)) as ahead:
        assert await ahead.take() == [Chunk(OUT, b"a\nb\n"), Chunk(ERR, b"c\n"), Chunk(OUT, b"d\n")]
        assert await ahead.take() is None


async def test_nothing_waits_for_company() -> None:
    more = asyncio.Event()

    async def slowly() -> AsyncIterator[Chunk]:
        yield Chunk(OUT, b"first\n")
        await more.wait()
        yield Chunk(OUT, b"second\n")

    async with reading_ahead(slowly()) as ahead:
        assert await anext(ahead) == Chunk(OUT, b"first\n")
        more.set()
        assert await anext(ahead) == Chunk(OUT, b"second\n")


async def test_a_reader_that_stands_still_stops_the_source() -> None:
    made = 0

    async def endless() -> AsyncIterator[Chunk]:
        nonlocal made
        while True:
            made += 1000
            yield Chunk(OUT, b"x" * 1000)

    async with reading_ahead(endless()) as ahead:
        for _ in range(100):
            await asyncio.sleep(0)
        assert made <= AHEAD_BYTES + 2000
        got = 0
        while got < 10 * AHEAD_BYTES:
            got += len((await anext(ahead)).data)
        assert got <= made <= got + AHEAD_BYTES + BATCH_BYTES + 2000


async def test_giant_pieces_are_cut() -> None:
    data = bytes(range(256)) * 4096
    async with reading_ahead(lines(Chunk(ERR, data))) as ahead:
        pieces = [chunk.data async for chunk in ahead]
    assert max(map(len, pieces)) <= BATCH_BYTES
    assert b"".join(pieces) == data


@pytest.mark.parametrize("failure", [Unavailable("The engine went away."), ZeroDivisionError("a mistake of ours")])
async def test_what_went_wrong_comes_after_what_went_well(failure: Exception) -> None:
    async def broken() -> AsyncIterator[Chunk]:
        yield Chunk(OUT, b"said before")
        raise failure

    async with reading_ahead(broken()) as ahead:
        assert await anext(ahead) == Chunk(OUT, b"said before")
        with pytest.raises(type(failure)):
            await anext(ahead)
    async with reading_ahead(broken()) as ahead:
        assert await ahead.take() == [Chunk(OUT, b"said before")]
        with pytest.raises(type(failure)):
            await ahead.take()


async def test_leaving_ends_the_source() -> None:
    ended = False

    async def source() -> AsyncIterator[Chunk]:
        nonlocal ended
        try:
            while True:
                yield Chunk(OUT, b"x")
                await asyncio.sleep(0)
        finally:
            ended = True

    async with reading_ahead(source()) as ahead:
        await anext(ahead)
    assert ended


async def test_who_waits_can_be_woken_with_nothing() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.wake()
    assert await waiting == []
