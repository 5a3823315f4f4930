# SPDX-License-Identifier: Apache-2.0
"""Our own end of a conversation: reading keys and pipes, raw mode, the window's size, the keys that detach."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

DETACH_KEYS = b"\x10\x11"  # ctrl-p ctrl-q
_PIECE = 32 * 1024


def is_terminal() -> bool:
    """Whether a person sits at both our input and our output."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def window_size() -> tuple[int, int]:
    """Columns and rows of our terminal."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return size.columns, size.lines


@contextlib.contextmanager
def raw_mode() -> Iterator[None]:
    """Every key goes through as it is. The terminal is put back whatever happens."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class DetachKeys:
    """Finds the detach sequence in what is typed; a lone first key is held back until the next one shows what it was."""

    def __init__(self, keys: bytes = DETACH_KEYS) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence is complete."""
        text = self._held + typed
        self._held = b""
        place = text.find(self._keys)
        if place >= 0:
            return text[:place], True
        for length in range(len(self._keys) - 1, 0, -1):
            if text.endswith(self._keys[:length]):
                self._held = text[-length:]
                return text[:-length], False
        return text, False


class InputPump:
    """A thread that carries standard input to a process until the input ends, the keys detach, or `stop` is called."""

    def __init__(
        self,
        *,
        write: Callable[[bytes], None],
        end: Callable[[], None],
        resized: Callable[[], None],
        detached: Callable[[], None] | None,
    ) -> None:
        self._write = write
        self._end = end
        self._resized = resized
        self._detached = detached
        self._keys = DetachKeys()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="stdin", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def window_changed(self) -> None:
        """Make the thread tell the new size; may be called from a signal handler."""
        os.write(self._wake_write, b"w")

    def stop(self) -> None:
        """End the thread."""
        os.write(self._wake_write, b"q")
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        source: int | None = sys.stdin.fileno()
        while True:
            watched = [self._wake_read] + ([] if source is None else [source])
            readable, _, _ = select.select(watched, [], [])
            if self._wake_read in readable:
                asked = os.read(self._wake_read, 64)
                if b"q" in asked:
                    return
                self._resized()
                continue
            if source is not None and not self._carry(source):
                source = None

    def _carry(self, source: int) -> bool:
        """Pass on what can be read; False when there will be no more."""
        try:
            typed = os.read(source, _PIECE)
        except OSError:
            typed = b""  # a terminal that was closed
        if not typed:
            self._end()
            return False
        if self._detached is None:
            self._write(typed)
            return True
        passed, left = self._keys.feed(typed)
        if passed:
            self._write(passed)
        if left:
            self._detached()
        return not left


@contextlib.contextmanager
def on_signals(handler: Callable[[int], None], *numbers: signal.Signals) -> Iterator[None]:
    """Call `handler` for these signals inside; what was there before returns afterwards."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        handler(number)

    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
