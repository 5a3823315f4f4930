# SPDX-License-Identifier: Apache-2.0
"""The raw streams: logs and archives, of any size, in bounded memory, free when the client leaves."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from support.api import error_of
from support.serving import PATIENCE_SECONDS, Served, served
from zun.api.streams.options import StreamOptions
from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import Unavailable
from zun.services.nodelive_fake import FakeNode

OUT, ERR = Channel.STDOUT, Channel.STDERR


@pytest.fixture
async def at() -> AsyncIterator[Served]:
    async with served() as made:
        yield made


async def all_left(node: FakeNode) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while node.open_streams:  # noqa: ASYNC110 - looks at state that has no event
            await asyncio.sleep(0.005)


# Logs


async def test_the_log_comes_as_bytes_or_in_frames(at: Served) -> None:
    uuid = await at.api.running()
    at.api.node.logs_of[uuid] = [Chunk(OUT, b"out\xff"), Chunk(ERR, b"error"), Chunk(OUT, b"")]
    plain = await at.reader.get(f"/v1/containers/{uuid}/logs/stream")
    assert plain.headers["content-type"] == "application/octet-stream"
    assert plain.content == b"out\xfferror"
    assert plain.headers["openstack-api-version"] == "container 1.40"
    framed = await at.reader.get(f"/v1/containers/{uuid}/logs/stream?multiplexed=true")
    assert framed.headers["content-type"] == "application/vnd.zun.multiplexed-stream"
    assert framed.content == b"\x01\x00\x00\x00\x04out\xff\x02\x00\x00\x00\x05error\x01\x00\x00\x00\x00"
    errors = await at.reader.get(f"/v1/containers/{uuid}/logs/stream?stdout=0")
    assert errors.content == b"error"


async def test_the_parameters_reach_the_node(at: Served) -> None:
    uuid = await at.api.running()
    query = "follow=false&stdout=no&stderr=yes&timestamps=1&tail=5&since=1700000000.5"
    await at.reader.get(f"/v1/containers/{uuid}/logs/stream?{query}")
    asked = at.api.node.asked[-1][2]
    assert str(asked) == (
        "LogQuery(stdout=False, stderr=True, timestamps=True, tail=5, since=1700000000.5, follow=False)"
    )


async def test_following_shows_each_line_as_it_comes_and_ends_with_the_container(at: Served) -> None:
    uuid = await at.api.running()
    queue = at.api.node.follow[uuid] = asyncio.Queue()
    async with at.reader.stream("GET", f"/v1/containers/{uuid}/logs/stream?follow=true") as response:
        assert response.status_code == 200
        pieces = response.aiter_raw()
        for line in (b"one\n", b"two\n"):
            queue.put_nowait(Chunk(OUT, line))
            assert await anext(pieces) == line
        queue.put_nowait(None)
        assert [piece async for piece in pieces] == []
    await all_left(at.api.node)


async def test_a_follower_that_leaves_ends_the_nodes_stream(at: Served) -> None:
    uuid = await at.api.running()
    at.api.node.follow[uuid] = asyncio.Queue()
    async with at.reader.stream("GET", f"/v1/containers/{uuid}/logs/stream?follow=true"):
        assert at.api.node.open_streams == 1
    await all_left(at.api.node)


async def test_a_follower_does_not_keep_the_service_from_stopping(at: Served) -> None:
    uuid = await at.api.running()
    at.api.node.follow[uuid] = asyncio.Queue()
    async with at.reader.stream("GET", f"/v1/containers/{uuid}/logs/stream?follow=true") as response:
        at.api.lifetime.end()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert [piece async for piece in response.aiter_raw()] == []
    await all_left(at.api.node)


async def test_a_follower_that_reads_nothing_for_too_long_is_cut() -> None:
    async with served(StreamOptions(stall_seconds=0.3)) as at:
        uuid = await at.api.running()
        queue = at.api.node.follow[uuid] = asyncio.Queue(2)

        async def print_for_ever() -> None:
            while True:
                await queue.put(Chunk(OUT, b"x" * 65536))

        printing = asyncio.create_task(print_for_ever())
        async with at.reader.stream("GET", f"/v1/containers/{uuid}/logs/stream?follow=true"):
            await all_left(at.api.node)
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)


async def test_a_stream_that_breaks_off_in_the_middle_has_no_end(at: Served, caplog: pytest.LogCaptureFixture) -> None:
    class Breaking(asyncio.Queue[Chunk | None]):
        async def get(self) -> Chunk | None:
            raise Unavailable("The connection to node n1 is lost. Try again in a moment.")

    uuid = await at.api.running()
    at.api.node.logs_of[uuid] = [Chunk(OUT, b"so far")]
    at.api.node.follow[uuid] = Breaking()
    async with at.reader.stream("GET", f"/v1/containers/{uuid}/logs/stream?follow=true") as response:
        assert response.status_code == 200
        pieces = response.aiter_raw()
        assert await anext(pieces) == b"so far"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(pieces)
    assert "broke off: The connection to node n1 is lost" in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    await all_left(at.api.node)


async def test_what_is_wrong_with_a_stream_is_an_ordinary_error(at: Served) -> None:
    uuid = await at.api.running()
    stopped = (await at.api.create())["uuid"]
    cases: list[tuple[httpx.AsyncClient, str, int]] = [
        (at.reader, f"/v1/containers/{uuid}/logs/stream?follow=perhaps", 400),
        (at.reader, f"/v1/containers/{uuid}/logs/stream?more=1", 400),
        (at.reader, "/v1/containers/nothing/logs/stream", 404),
        (at.other, f"/v1/containers/{uuid}/logs/stream", 404),
        (at.reader, f"/v1/containers/{stopped}/logs/stream", 409),
        (at.reader, f"/v1/containers/{uuid}/archive", 400),
        (at.reader, f"/v1/containers/{uuid}/archive?path=/nowhere", 400),
        (at.reader, f"/v1/containers/{stopped}/archive?path=/", 409),
    ]
    for client, url, status in cases:
        assert error_of(await client.get(url))[0] == status, url


# Archives


async def test_an_archive_goes_in_and_comes_out_whole(at: Served) -> None:
    uuid = await at.api.running()
    data = bytes(range(256)) * 4096

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 10_000):
            yield data[start : start + 10_000]

    put = await at.member.put(f"/v1/containers/{uuid}/archive?path=/d", content=pieces())
    assert (put.status_code, put.content) == (204, b"")
    got = await at.reader.get(f"/v1/containers/{uuid}/archive?path=/d")
    assert got.content == data
    assert got.headers["content-type"] == "application/x-tar"
    stat = json.loads(base64.b64decode(got.headers["x-zun-path-stat"]))
    assert stat == {
        "name": "d",
        "size": len(data),
        "mode": 0o100644,
        "mtime": "2026-01-01T00:00:00Z",
        "linkTarget": "",
    }


async def test_an_archive_may_be_larger_than_what_json_bodies_may_hold(at: Served) -> None:
    uuid = await at.api.running()

    async def much() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"t" * 2**20

    assert (await at.member.put(f"/v1/containers/{uuid}/archive?path=/d", content=much())).status_code == 204
    assert len(at.api.node.files[uuid, "/d"]) == 80 * 2**20


async def test_an_upload_is_refused_like_any_request(at: Served) -> None:
    uuid = await at.api.running()
    cases: list[tuple[httpx.AsyncClient, str, int]] = [
        (at.reader, f"/v1/containers/{uuid}/archive?path=/d", 403),
        (at.other, f"/v1/containers/{uuid}/archive?path=/d", 404),
        (at.member, f"/v1/containers/{uuid}/archive", 400),
        (at.member, f"/v1/containers/{uuid}/archive?path=/nowhere", 400),
    ]
    for client, url, status in cases:
        assert error_of(await client.put(url, content=b"tar"))[0] == status, url


async def test_a_download_that_is_broken_off_frees_the_node(at: Served) -> None:
    uuid = await at.api.running()
    at.api.node.files[uuid, "/big"] = b"t" * 2**26
    async with at.reader.stream("GET", f"/v1/containers/{uuid}/archive?path=/big") as response:
        await anext(response.aiter_raw())
    await all_left(at.api.node)
