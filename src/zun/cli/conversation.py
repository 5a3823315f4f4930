# SPDX-License-Identifier: Apache-2.0
"""Brings a console and our terminal (or pipes) together."""

import contextlib
import signal
import sys

from zun.cli import terminal
from zun.cli.console import Console, Ending
from zun.cli.failures import Interrupted
from zun.cli.logs import write_frame


class Conversation:
    """One conversation; `talk` runs it. `stop` may be called from any thread and ends it."""

    def __init__(self, console: Console, *, tty: bool, stdin: bool) -> None:
        self._console = console
        self._tty = tty
        self._stdin = stdin
        self.detached = False

    def talk(self) -> Ending | None:
        """Carry everything both ways. None when the connection ended before the process, or `detached`."""
        pump = terminal.InputPump(
            write=self._console.write,
            end=self._console.end_input,
            resized=self.tell_size,
            detached=self._detach if self._tty else None,
        )
        with contextlib.ExitStack() as stack:
            stack.callback(self._console.close)
            if self._tty:
                stack.enter_context(terminal.raw_mode())
                stack.enter_context(terminal.on_signals(lambda _: pump.window_changed(), signal.SIGWINCH))
                stack.enter_context(terminal.on_signals(_leave, signal.SIGTERM, signal.SIGHUP))
            if self._stdin or self._tty:
                pump.start()
                stack.callback(pump.stop)
            for channel, data in self._console.output():
                write_frame(channel, data)
        return self._console.ending

    def tell_size(self) -> None:
        """Tell the process how large our window is."""
        if self._tty and sys.stdout.isatty():
            self._console.resize(*terminal.window_size())

    def stop(self) -> None:
        """End it."""
        self._console.close()

    def _detach(self) -> None:
        self.detached = True
        self._console.close()


def _leave(number: int) -> None:
    raise Interrupted(number)
