# SPDX-License-Identifier: Apache-2.0
"""How fast live things flow from a node in another process, with and without TLS, beside the same calls in one process.

python -m benchmarks.streams [--mib 200]
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from benchmarks.house import environment
from benchmarks.rows import Part, Row
from benchmarks.stream_node import NODE, PIECES, Mill
from zun.base.clock import SystemClock
from zun.base.private_file import replace_private
from zun.drivers.runtime.types import LogQuery
from zun.model.subjects import CONTROL, node_host
from zun.nodestreams.addresses import Address
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import RemoteNode
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.nodestreams.options import NodeStreamOptions
from zun.nodestreams.security import PlainClient, TlsClient
from zun.pki import pem
from zun.pki.authority import Authority
from zun.services.nodelive import NodeLive

MIB = 1 << 20
REFERENCES = 2000
"""A call in one process that is faster, in MiB/s, hands pieces over without touching their bytes: no speed to be compared with."""

Work = Callable[[NodeLive, int], Awaitable[None]]


async def log_of_lines(node: NodeLive, size: int) -> None:
    """A log whose engine tells each line."""
    await _read_log(node, f"lines-{size}")


async def log_in_pieces(node: NodeLive, size: int) -> None:
    """A log that comes in large pieces."""
    await _read_log(node, f"pieces-{size}")


async def archive_out(node: NodeLive, size: int) -> None:
    """Files copied out."""
    async with node.get_archive("x", f"/{size}") as (_, data):
        async for _ in data:
            pass


async def archive_in(node: NodeLive, size: int) -> None:
    """Files copied in."""

    async def source() -> AsyncIterator[bytes]:
        piece = bytes(PIECES["pieces"])
        for _ in range(size // len(piece)):
            yield piece

    await node.put_archive("x", "/", source())


async def conversation(node: NodeLive, size: int) -> None:
    """A process that says back what it is told: the bytes go both ways."""
    async with node.attach("x") as session:
        piece = bytes(PIECES["pieces"])

        async def feed() -> None:
            for _ in range(size // len(piece)):
                await session.write(piece)
            await session.close_stdin()

        feeding = asyncio.create_task(feed())
        while await session.read() is not None:
            pass
        await feeding


WORKS: dict[str, Work] = {
    "log, a piece a line of 80 bytes": log_of_lines,
    "log, pieces of 64 KiB": log_in_pieces,
    "archive out": archive_out,
    "archive in": archive_in,
    "console, said back (each way)": conversation,
}


async def _read_log(node: NodeLive, name: str) -> None:
    async with node.logs(name, LogQuery()) as chunks:
        async for _ in chunks:
            pass


@contextmanager
def served(directory: Path, bytecode: Path) -> Iterator[Address]:
    """A node in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.stream_node", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(bytecode)) as process:
        try:
            assert process.stdout is not None
            yield Address("127.0.0.1", int(process.stdout.readline()))
        finally:
            process.kill()


def certificates(directory: Path) -> TlsFiles:
    """Both sides' certificates; gives the API's."""
    authority = Authority.create("bench", datetime.now(UTC))
    replace_private(directory / "ca.pem", authority.certificate_pem.encode())
    for name, common_name, hosts in (("node", node_host(NODE), [node_host(NODE)]), ("control", CONTROL, [])):
        key = pem.new_key()
        certificate = authority.issue(key.public_key(), common_name, hosts=hosts, now=datetime.now(UTC), days=1)
        replace_private(directory / f"{name}.pem", pem.key_to_pem(key) + pem.certificate_to_pem(certificate))
    return TlsFiles(directory / "ca.pem", directory / "control.pem", directory / "control.pem")


async def speeds(nodes: dict[str, NodeLive], size: int) -> dict[str, dict[str, float]]:
    """MiB a second by work and node; the nodes in turns, the best of three."""
    found: dict[str, dict[str, float]] = {work: dict.fromkeys(nodes, 0.0) for work in WORKS}
    for _ in range(3):
        for title, work in WORKS.items():
            for name, node in nodes.items():
                begin = time.perf_counter()
                await work(node, size)
                found[title][name] = max(found[title][name], size / MIB / (time.perf_counter() - begin))
    return found


async def measured(bytecode: Path, mib: int) -> dict[str, dict[str, float]]:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="zun-bench-streams-") as name:
        plain, secure = Path(name, "plain"), Path(name, "tls")
        options, clock = NodeStreamOptions(), SystemClock()
        tls = Channels(TlsClient(Credentials(certificates(secure), clock)), options, clock)
        words = Channels(PlainClient(), options, clock)
        with served(plain, bytecode) as there, served(secure, bytecode) as behind_tls:
            nodes: dict[str, NodeLive] = {
                "here": Mill(),
                "plain": RemoteNode(NODE, there, words, call_seconds=60),
                "tls": RemoteNode(NODE, behind_tls, tls, call_seconds=60),
            }
            found = await speeds(nodes, mib * MIB)
        await words.close()
        await tls.close()
    return found


async def run(bytecode: Path, mib: int = 100) -> Part:
    """The rows."""
    rows = [
        Row(
            group="streams of a node, one at a time",
            measure=work,
            ours=f"{by['tls']:,.0f} MiB/s",
            baseline=f"{by['here']:,.0f} MiB/s",
            ratio=f"{by['tls'] / by['here']:.2f}" if by["here"] < REFERENCES else "",
        )
        for work, by in (await measured(bytecode, mib)).items()
    ]
    return Part(
        rows,
        f"streams: {mib} MiB from or to a node that makes and takes bytes without an engine, in another process over loopback with mutual TLS; "
        "the baseline is the same node called in the process itself (no ratio where that only hands references over); in turns, the best of three",
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=200)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="zun-bench-pyc-") as bytecode,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for work, by in runner.run(measured(Path(bytecode), given.mib)).items():
            print(f"{work}: " + ", ".join(f"{name} {speed:,.0f} MiB/s" for name, speed in by.items()))


if __name__ == "__main__":
    main()
