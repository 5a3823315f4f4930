# SPDX-License-Identifier: Apache-2.0
"""The baseline: a bare grpc.aio client that does the transactions of the real run again, and nothing else.

    python -m benchmarks.fleet.bare --endpoint HOST:PORT --requests FILE --prefix /bar/ --in-flight 32

Keys, values, compares and operations are those that were sent; only the keys begin differently (with as many bytes), so that nobody
watches them. What is compared with is the revision that this client's own write of the key got, and a transaction begins
when those that it follows upon are answered. All messages are made before the time begins: this client has nothing to think about.
"""

import argparse
import asyncio
import json
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from zun.store import keys
from zun.store.etcd import rpc_pb2 as pb

_SECONDS = 60.0
_FIRST_VALUE = b"{}" * 150


def write_requests(path: Path, requests: Iterable[pb.TxnRequest]) -> None:
    """Hand them over in a file."""
    with path.open("wb") as file:
        for request in requests:
            raw = request.SerializeToString()
            file.write(struct.pack("<I", len(raw)) + raw)


def read_requests(path: Path) -> Iterator[pb.TxnRequest]:
    """What was handed over."""
    raw = path.read_bytes()
    at = 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        yield pb.TxnRequest.FromString(raw[at + 4 : at + 4 + length])
        at += 4 + length


class Step:
    """A transaction with what it waits for, and the compares that get their revisions when that is known."""

    def __init__(self, request: pb.TxnRequest) -> None:
        self.request = request
        self.after: set[int] = set()
        self.compares: list[tuple[pb.Compare, int]] = []
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class Replay:
    """All of them, worked out beforehand."""

    def __init__(self, requests: Iterable[pb.TxnRequest], prefix: bytes) -> None:
        self._prefix = prefix
        self._given: dict[bytes, int] = {}
        self._written: dict[bytes, int] = {}
        self._revisions: dict[bytes, int] = {}
        self.steps: list[Step] = []
        for request in requests:
            self._add(Step(request))

    async def prepare(self, txn: Any) -> None:
        """Write what exists already when the time begins."""
        for key in self._given:
            put = pb.PutRequest(key=key, value=_FIRST_VALUE)
            done = await txn(pb.TxnRequest(success=[pb.RequestOp(request_put=put)]), timeout=_SECONDS)
            self._revisions[key] = done.header.revision

    async def run(self, txn: Any, in_flight: int) -> None:
        """So many at once, in order."""
        steps = iter(self.steps)

        async def worker() -> None:
            for step in steps:
                for before in step.after:
                    await self.steps[before].answer
                for compare, before in step.compares:
                    self._fill(compare, before)
                answer = await txn(step.request, timeout=_SECONDS)
                if not answer.succeeded:
                    raise RuntimeError("a transaction of the replay failed")
                step.answer.set_result(answer.header.revision)

        async with asyncio.TaskGroup() as workers:
            for _ in range(in_flight):
                workers.create_task(worker())

    def _fill(self, compare: pb.Compare, before: int) -> None:
        if compare.WhichOneof("expected") == "create_revision":
            compare.create_revision = self._revisions[compare.key]
        else:
            compare.mod_revision = self.steps[before].answer.result() if before >= 0 else self._revisions[compare.key]

    def _add(self, step: Step) -> None:
        for compare in step.request.compare:
            compare.key = self._renamed(compare.key)
            before = self._written.get(compare.key, -1)
            if before >= 0:
                step.after.add(before)
            elif compare.mod_revision or compare.create_revision:
                self._given[compare.key] = 0
            if before >= 0 or compare.key in self._given:
                step.compares.append((compare, before))
        for op in (*step.request.success, *step.request.failure):
            kind = op.WhichOneof("request")
            asked = getattr(op, kind)
            asked.key = self._renamed(asked.key)
            if kind == "request_put":
                asked.lease = 0
            elif asked.range_end:
                asked.range_end = self._renamed(asked.range_end)
        for op in step.request.success:
            kind = op.WhichOneof("request")
            key = getattr(op, kind).key
            if kind != "request_range":
                step.after |= {self._written[key]} if key in self._written else set()
                self._written[key] = len(self.steps)
        self.steps.append(step)

    def _renamed(self, key: bytes) -> bytes:
        return self._prefix + key.removeprefix(keys.ROOT.encode())


async def run(given: argparse.Namespace) -> dict[str, Any]:
    """Do it, and tell how long it took."""
    replay = Replay(read_requests(given.requests), given.prefix.encode())
    async with grpc.aio.insecure_channel(given.endpoint, options=[("grpc.max_send_message_length", -1)]) as channel:
        txn = channel.unary_unary(
            "/etcdserverpb.KV/Txn",
            request_serializer=pb.TxnRequest.SerializeToString,
            response_deserializer=pb.TxnResponse.FromString,
        )
        await replay.prepare(txn)
        begin, cpu = time.perf_counter(), time.process_time()
        await replay.run(txn, given.in_flight)
        return {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--prefix", default="/bar/")
    parser.add_argument("--in-flight", type=int, default=32)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
