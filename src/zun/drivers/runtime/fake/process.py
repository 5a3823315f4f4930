# SPDX-License-Identifier: Apache-2.0
"""Made-up processes: programs are generators that say what they wait for; nothing runs unless something happens.

A program that waits for ever costs no task and no timer, which is what lets the fake hold many thousands of containers.
"""

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from zun.base.clock import Clock
from zun.drivers.runtime.fake.files import FileTree
from zun.drivers.runtime.types import Channel

SIGNAL_NUMBERS = {
    "SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGUSR1": 10, "SIGUSR2": 12, "SIGTERM": 15,
    "SIGCONT": 18, "SIGSTOP": 19, "SIGWINCH": 28,
}  # fmt: skip
_HARMLESS = frozenset({"SIGCONT", "SIGWINCH"})

_PIPE_BYTES = 64 * 1024
"""So much of its input may wait for a program that does not read it."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """A program waits this many seconds; None is for ever."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class ReadInput:
    """A program waits for its standard input; it is sent bytes, or b"" at the end."""


Steps = Generator[Sleep | ReadInput, bytes, int]
"""A program in motion: yields what it waits for, returns its exit code."""


@dataclass(slots=True)
class Surroundings:
    """What a program sees of the world."""

    argv: list[str]
    write: Callable[[Channel, bytes], None]
    clock: Clock
    files: FileTree
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    hostname: str = ""
    size: list[int] = field(default_factory=lambda: [80, 24])  # width and height of the terminal
    traps: dict[str, Callable[[], int | None]] = field(default_factory=dict)
    stdin_open: bool = False
    listening: dict[int, list[str]] = field(default_factory=dict)  # what is run for each connection, by port


class Process:
    """One process. `ended` is called once with its exit code."""

    __slots__ = (
        "_eof",
        "_input",
        "_room",
        "_stepping",
        "_steps",
        "_task",
        "_waits_for_input",
        "around",
        "ended",
        "exit_code",
    )

    def __init__(self, steps: Steps, around: Surroundings, ended: Callable[[int], None]) -> None:
        self._steps = steps
        self.around = around
        self.ended = ended
        self.exit_code: int | None = None
        self._stepping = False
        self._input = b""
        self._room: asyncio.Event | None = None
        self._eof = not around.stdin_open
        self._waits_for_input = False
        self._task: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Begin; a program that waits for nothing has ended when this returns."""
        self._go_on(None)

    def feed(self, data: bytes) -> None:
        """Bytes for its standard input."""
        self._input += data
        self._deliver()

    async def room(self) -> None:
        """Return when there is room for input, or it has ended."""
        while len(self._input) >= _PIPE_BYTES and self.exit_code is None:
            self._room = self._room or asyncio.Event()
            self._room.clear()
            await self._room.wait()

    def end_input(self) -> None:
        """Nothing more will come."""
        self._eof = True
        self._deliver()

    def signal(self, name: str) -> None:
        """What a signal does: its trap, or the end with 128 + its number."""
        if self.exit_code is not None or (name in _HARMLESS and name not in self.around.traps):
            return
        trap = self.around.traps.get(name)
        if trap is None or name == "SIGKILL":
            self.end(128 + SIGNAL_NUMBERS.get(name, 15))
            return
        code = trap()
        if code is not None:
            self.end(code)

    def end(self, code: int) -> None:
        """It is over."""
        if self.exit_code is not None:
            return
        self.exit_code = code
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if not self._stepping:
            self._steps.close()
        self._make_room()
        self.ended(code)

    def _deliver(self) -> None:
        if not self._waits_for_input or self.exit_code is not None or not (self._input or self._eof):
            return
        self._waits_for_input = False
        self._go_on(self._take_input())

    def _take_input(self) -> bytes:
        data, self._input = self._input, b""
        self._make_room()
        return data

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()

    def _go_on(self, value: bytes | None) -> None:
        while self.exit_code is None:
            self._stepping = True
            try:
                wait = next(self._steps) if value is None else self._steps.send(value)
            except StopIteration as stop:
                self.end(stop.value)
                return
            finally:
                self._stepping = False
            if isinstance(wait, ReadInput):
                if not self._input and not self._eof:
                    self._waits_for_input = True
                    return
                value = self._take_input()
            elif wait.seconds is None:
                return
            elif wait.seconds <= 0:
                value = None
            else:
                self._task = asyncio.get_running_loop().create_task(self._wake(wait.seconds))
                return

    async def _wake(self, seconds: float) -> None:
        await self.around.clock.sleep(seconds)
        self._task = None
        self._go_on(None)
