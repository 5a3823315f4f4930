# SPDX-License-Identifier: Apache-2.0
"""A CRI log taken apart: each line is `<time> stdout|stderr F|P <bytes>`, where F ends a line of the container's and P does not.

The engine drops a carriage return before a line feed. A terminal writes that pair at every line's end, so it is put back there; without
a terminal it is lost. Pure: bytes in, chunks out, memory bounded by the block that is fed.
"""

from datetime import UTC, datetime

from zun.drivers.runtime.types import Channel, Chunk, LogQuery

_CHANNELS = {b"stdout": Channel.STDOUT, b"stderr": Channel.STDERR}
_WHOLE_SECONDS = len("2006-01-02T15:04:05")
_LARGEST_CHUNK = 64 << 10


class Entries:
    """Turns the bytes of a log into chunks, as a query wants them."""

    def __init__(self, query: LogQuery, *, tty: bool) -> None:
        wanted = {b"stdout": query.stdout, b"stderr": query.stderr}
        self._wanted = {name: channel for name, channel in _CHANNELS.items() if wanted[name]}
        self._since = stamp_of(query.since).encode() if query.since is not None else b""
        self._timestamps = query.timestamps
        self._end = b"\r\n" if tty else b"\n"
        self._kept = b""
        self._fresh = dict.fromkeys(self._wanted, True)  # whether the next entry begins a line
        self._converted = (b"", b"")
        self._chunks: list[Chunk] = []
        self._pieces: list[bytes] = []
        self._channel = b""
        self._size = 0

    def feed(self, data: bytes) -> list[Chunk]:
        """What these bytes add. A line that is not complete yet is kept."""
        lines = (self._kept + data).split(b"\n")
        self._kept = lines.pop()
        for line in lines:
            parts = line.split(b" ", 3)
            if len(parts) == 4 and parts[1] in self._wanted:
                self._take(*parts)
        self._flush()
        chunks, self._chunks = self._chunks, []
        return chunks

    def _take(self, stamp: bytes, channel: bytes, tag: bytes, content: bytes) -> None:
        if self._since or self._timestamps:
            told = self._normal(stamp)
            if self._since and told < self._since:
                return
            if self._timestamps and self._fresh[channel]:
                content = told + b" " + content
        whole = not tag.startswith(b"P")
        self._fresh[channel] = whole
        if channel != self._channel or self._size >= _LARGEST_CHUNK:
            self._flush()
            self._channel = channel
        self._pieces.append(content)
        if whole:
            self._pieces.append(self._end)
        self._size += len(content)

    def _flush(self) -> None:
        data = b"".join(self._pieces)
        if data:
            self._chunks.append(Chunk(self._wanted[self._channel], data))
        self._pieces, self._size = [], 0

    def _normal(self, stamp: bytes) -> bytes:
        """A time in UTC with nine digits, so that times compare as bytes. Neighbours share their second."""
        second, rest = stamp[:_WHOLE_SECONDS], stamp[_WHOLE_SECONDS:]
        fraction = rest[1:].rstrip(b"Z") if rest.startswith(b".") else b""
        if rest.endswith(b"Z"):
            return second + b"." + fraction.ljust(9, b"0") + b"Z"
        zone = rest[-6:]
        digits = rest[1:-6] if rest.startswith(b".") else b""
        if self._converted[0] != second + zone:
            self._converted = (second + zone, _in_utc(second, zone))
        return self._converted[1] + b"." + digits.ljust(9, b"0") + b"Z"


def stamp_of(seconds: float) -> str:
    """Seconds since the epoch as the log writes a time in UTC."""
    whole = int(seconds)
    told = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{told}.{round((seconds - whole) * 1_000_000_000):09d}Z"


def kind_of(line: bytes) -> tuple[bytes, bool]:
    """A line of the log: its channel, and whether it ends one of the container's lines. No channel for what is no entry."""
    parts = line.split(b" ", 3)
    return (parts[1], not parts[2].startswith(b"P")) if len(parts) == 4 else (b"", False)


def _in_utc(second: bytes, zone: bytes) -> bytes:
    try:
        moment = datetime.fromisoformat((second + zone).decode("ascii"))
    except ValueError:
        return second
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
