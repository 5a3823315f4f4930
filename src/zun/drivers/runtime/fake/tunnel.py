# SPDX-License-Identifier: Apache-2.0
"""A connection to a made-up program that listens: its input and output are what goes over the wire."""

from zun.drivers.runtime.base import ByteSession


class FakeTunnel:
    """Implements `Tunnel`."""

    def __init__(self, session: ByteSession) -> None:
        self._session = session

    async def read(self) -> bytes | None:
        """What it prints."""
        chunk = await self._session.read()
        return None if chunk is None else chunk.data

    async def write(self, data: bytes) -> None:
        """What it reads."""
        await self._session.write(data)

    async def end(self) -> None:
        """It will read no more."""
        await self._session.close_stdin()
