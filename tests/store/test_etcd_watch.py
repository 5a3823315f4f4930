# SPDX-License-Identifier: Apache-2.0
"""How a watch on etcd reads ahead of who iterates, on a stream that a test feeds."""

import asyncio
from typing import Any

import pytest

from zun.base.clock import SystemClock
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.watch import AHEAD_BATCHES, AHEAD_BYTES, EtcdWatch
from zun.store.interface import Compacted, WatchBatch


class Stream:
    """What a member sends: at once what is there, then nothing more."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[pb.WatchResponse] = asyncio.Queue()
        self.sent.put_nowait(pb.WatchResponse())  # the watch is made
        self.read_count = 0

    def send(self, revision: int, *values: bytes) -> None:
        kvs = [pb.KeyValue(key=b"/k", value=value, mod_revision=revision, version=1) for value in values]
        header = pb.ResponseHeader(revision=revision)
        self.sent.put_nowait(pb.WatchResponse(header=header, events=[pb.Event(kv=kv) for kv in kvs]))

    async def write(self, _: Any) -> None:
        return

    async def read(self) -> pb.WatchResponse:
        response = await self.sent.get()
        self.read_count += 1
        return response

    def cancel(self) -> bool:
        return True


class Member:
    """The one member there is, and its connection."""

    retired = progress_is_true = False

    def __init__(self) -> None:
        self.line = Stream()
        self.calls = self
        self.watch = None

    async def connected(self) -> "Member":
        return self

    def stream(self, _: Any) -> Stream:
        return self.line

    def end_stream(self, _: Any) -> None:
        return

    def heard(self) -> None:
        return

    def heard_of(self, _: int) -> None:
        return


async def begun() -> tuple[EtcdWatch, Stream]:
    member = Member()
    watch = EtcdWatch(member, (b"/", b"0"), 1, SystemClock())  # type: ignore[arg-type] - plays connection and members
    await watch.open()
    return watch, member.line


def values(batch: WatchBatch) -> list[bytes]:
    return [event.kv.value for event in batch.events]


async def rest(stream: Stream) -> None:
    """Until nothing more is read."""
    before = -1
    while stream.read_count != before:
        before = stream.read_count
        for _ in range(20):
            await asyncio.sleep(0)


async def test_what_came_while_nobody_waited_is_one_batch_in_order() -> None:
    watch, stream = await begun()
    stream.send(5, b"a")
    assert values(await anext(watch)) == [b"a"]
    stream.send(6, b"b", b"c")
    stream.send(7, b"d")
    stream.send(9)  # progress
    await rest(stream)
    batch = await anext(watch)
    assert (batch.revision, values(batch)) == (9, [b"b", b"c", b"d"])
    await watch.close()


async def test_what_came_before_the_watch_ended_is_told_before_its_end() -> None:
    watch, stream = await begun()
    stream.send(5, b"a")
    assert values(await anext(watch)) == [b"a"]
    stream.send(6, b"b")
    stream.sent.put_nowait(pb.WatchResponse(canceled=True, compact_revision=8))
    await rest(stream)
    assert values(await anext(watch)) == [b"b"]
    with pytest.raises(Compacted):
        await anext(watch)
    await watch.close()


@pytest.mark.parametrize(("size", "most"), [(1, AHEAD_BATCHES), (AHEAD_BYTES // 4, 4)])
async def test_reading_ahead_is_bounded_and_goes_on_when_there_is_room(size: int, most: int) -> None:
    watch, stream = await begun()
    sent = 2 * AHEAD_BATCHES
    for number in range(sent):
        stream.send(5 + number, b"x" * size)
    got = values(await anext(watch))
    await rest(stream)
    assert stream.read_count - 1 <= len(got) + most + 1  # the first answer was that the watch is made
    while len(got) < sent:
        got += values(await anext(watch))
    assert len(got) == sent
    await watch.close()
