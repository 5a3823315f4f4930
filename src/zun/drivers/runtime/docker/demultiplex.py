# SPDX-License-Identifier: Apache-2.0
"""The engine's framing of a process's two outputs, taken apart.

Each frame is a byte for the channel, three of nothing, four for the length, and the data. Data is handed on as it comes, in part of
a frame too, so that memory stays bounded whatever length a frame claims.
"""

import struct

from zun.drivers.runtime.types import Channel, Chunk

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2


class Demultiplexer:
    """Turns bytes into chunks; with a terminal there are no frames and all is stdout."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._head = b""
        self._left = 0
        self._channel = Channel.STDOUT

    def feed(self, data: bytes) -> list[Chunk]:
        """What these bytes add."""
        if self._tty:
            return [Chunk(Channel.STDOUT, data)] if data else []
        chunks = []
        data, self._head = (self._head + data, b"") if self._head else (data, b"")
        at = 0
        while at < len(data):
            if self._left == 0:
                if len(data) - at < _HEADER.size:
                    self._head = data[at:]
                    break
                number, self._left = _HEADER.unpack_from(data, at)
                self._channel = Channel.STDERR if number == _STDERR else Channel.STDOUT
                at += _HEADER.size
                continue
            piece = data[at : at + self._left]
            self._left -= len(piece)
            at += len(piece)
            chunks.append(Chunk(self._channel, piece))
        return chunks
