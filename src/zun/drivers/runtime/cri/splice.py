# SPDX-License-Identifier: Apache-2.0
"""One output, seen twice: whole but line by line in the log, and at once but from some unknown byte on in a live stream.

The engine lets nobody attach before the start, so a live stream misses what the program wrote in its first milliseconds; the log has it,
but shows a prompt without line feed only when the line ends. So the log is told, until both stand still and are seen to agree: then what
the stream has of the unfinished line is told, and from there on the stream. Pure.
"""

_REMEMBERED = 64 << 10


class Splice:
    """Joins the two for one channel. Each method gives the bytes to be told now."""

    def __init__(self) -> None:
        self.joined = False
        self._log = b""  # the end of what was told from the log
        self._stream = b""  # the end of what the stream brought
        self._length = 0  # of all that it brought

    def from_log(self, data: bytes) -> bytes:
        """The log went on."""
        if self.joined:
            return b""
        self._log = (self._log + data)[-_REMEMBERED:]
        return data

    def from_stream(self, data: bytes) -> bytes:
        """The stream went on."""
        if self.joined:
            return data
        self._length += len(data)
        self._stream = (self._stream + data)[-_REMEMBERED:]
        return b""

    def quiet(self) -> bytes:
        """Neither has gone on for a moment: join them if the stream's complete lines are the log's last ones."""
        if self.joined or not self._length:
            return b""
        whole = self._stream.rfind(b"\n") + 1
        lines, unfinished = self._stream[:whole], self._stream[whole:]
        if self._length == len(self._stream):
            agree = self._log.endswith(lines)
        else:  # the beginning of what is remembered may be the middle of a line, and of more than the log remembers
            shorter = min(len(lines), len(self._log))
            agree = shorter > 0 and self._log[-shorter:] == lines[-shorter:]
        if not agree:
            return b""
        self.joined = True
        self._log = self._stream = b""
        return unfinished
