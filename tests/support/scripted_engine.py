# SPDX-License-Identifier: Apache-2.0
"""Something that answers like a Docker engine, or does not: for what a healthy engine never does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HANG = b"hang"
"""As an answer: say nothing and keep the connection."""

_VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}


class ScriptedEngine:
    """Answers by "METHOD path", the path without version and query; notes what was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, bytes] = {"GET version": ok(_VERSION)}
        self.asked: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await _head(reader):
                method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
                path = target.partition("?")[0].lstrip("/")
                path = path.partition("/")[2] if path.startswith("v1.") else path
                self.asked.append(f"{method} {path}")
                answer = self.answers.get(self.asked[-1], failed(404, "page not found"))
                if answer is HANG:
                    await reader.read()
                    return
                writer.write(answer)
                await writer.drain()
                if b"\r\nConnection: close" in answer:
                    return
        except ConnectionError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def scripted_engine(directory: Path) -> AsyncIterator[ScriptedEngine]:
    """Serve on a socket in `directory`."""
    path = directory / "engine.sock"
    engine = ScriptedEngine(f"unix://{path}")
    server = await asyncio.start_unix_server(engine.serve, path)
    try:
        yield engine
    finally:
        server.close()


def ok(body: Any, status: int = 200) -> bytes:
    """A whole answer."""
    raw = json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw
    )


def failed(status: int, message: str) -> bytes:
    """A refusal."""
    return ok({"message": message}, status)


def broken(*lines: Any) -> bytes:
    """A stream of JSON lines that breaks off in the middle of things."""
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + f"{len(raw):x}\r\n".encode()
        + raw
    )


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""
    for line in head.lower().split("\r\n"):
        if line.startswith("content-length:"):
            await reader.readexactly(int(line.partition(":")[2]))
    return head
