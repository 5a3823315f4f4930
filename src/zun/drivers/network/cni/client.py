# SPDX-License-Identifier: Apache-2.0
"""Asking the daemon, as its key's owner."""

import asyncio
from pathlib import Path
from typing import NoReturn

import msgspec

from zun.drivers.network.cni.questions import KEYS, PLUG, RELEASE, SYNC, About, Failure, Found
from zun.drivers.network.cni.sealing import Endpoint, is_sealed, new_nonce, read_endpoint, seal
from zun.model import errors
from zun.model.errors import Internal, Timeout, Unavailable, ZunError

_MOST_HEAD_BYTES = 8192
_OK = 200


class DaemonClient:
    """One question, one connection. All raise `Unavailable` when the daemon is away, `Timeout`, and what it answers."""

    def __init__(self, endpoint_path: Path, *, seconds: float = 60.0) -> None:
        self._path = endpoint_path
        self._seconds = seconds

    async def sync(self, key: str) -> None:
        """Make a living sandbox what the spool says. Raises `NotFound` when it does not run."""
        await self._ask(SYNC, msgspec.json.encode(About(key)))

    async def plug(self, found: Found) -> None:
        """Plug in a sandbox that runs; again changes nothing. Raises `NotFound` for one that was not prepared, `Conflict`."""
        await self._ask(PLUG, msgspec.json.encode(found))

    async def release(self, key: str) -> None:
        """Nothing of the sandbox is left; unknown is no error."""
        await self._ask(RELEASE, msgspec.json.encode(About(key)))

    async def keys(self) -> list[str]:
        """Which sandboxes are bound."""
        return msgspec.json.decode(await self._ask(KEYS, b""), type=list[str])

    async def _ask(self, path: str, body: bytes) -> bytes:
        endpoint = await asyncio.to_thread(read_endpoint, self._path)
        try:
            async with asyncio.timeout(self._seconds):
                status, told = await _exchange(endpoint, path, body)
        except TimeoutError as error:
            raise Timeout(
                f"The network daemon did not answer within {self._seconds:g} seconds; see its log."
            ) from error
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise Unavailable(
                f"The network daemon does not answer ({error}); see whether it runs, and its log."
            ) from error
        if status != _OK:
            _raise(told)
        return told


async def _exchange(endpoint: Endpoint, path: str, body: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=_MOST_HEAD_BYTES)
    try:
        nonce = new_nonce()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: zun-cni\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
            f"Zun-Nonce: {nonce}\r\nZun-Seal: {seal(endpoint.key, nonce, path, body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
        told = await reader.read(-1)
    finally:
        writer.close()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = first.split(" ")[1] if " " in first else ""
    if not is_sealed(endpoint.key, nonce, status, told, headers.get("zun-seal", "")):
        raise ValueError("what answered is not the daemon that wrote its address")
    return int(status), told


def _raise(told: bytes) -> NoReturn:
    try:
        failure = msgspec.json.decode(told, type=Failure)
    except msgspec.DecodeError as error:
        raise Internal(
            "The network daemon answered something odd; agent and daemon have to be of the same version."
        ) from error
    kind = getattr(errors, failure.kind, Internal)
    raise kind(failure.message) if isinstance(kind, type) and issubclass(kind, ZunError) else Internal(failure.message)
