# SPDX-License-Identifier: Apache-2.0
"""Processes of our own, started without `fork`.

uvloop starts processes by fork(2), which runs what libraries registered for that, in the child; gRPC's share of it now and then
crashes there, before the program has begun. The standard library uses vfork(2), which runs nothing.
"""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Self

from zun.drivers.runtime.host.pipes import PipeReader, PipeWriter
from zun.model.errors import Timeout, Unavailable


class Child:
    """A process with pipes to its three streams. Made by `start`; `close` ends it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", stdin: PipeWriter, stdout: PipeReader, stderr: PipeReader
    ) -> None:
        self._process = process
        self._exited = asyncio.ensure_future(self._wait())
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr

    @classmethod
    async def start(cls, words: Sequence[str], *, cwd: str = "/", environment: Mapping[str, str] | None = None) -> Self:
        """Start it. Raises `Unavailable` when that fails."""
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        ours_err, theirs_err = os.pipe()
        theirs, ours = (theirs_in, theirs_out, theirs_err), (ours_in, ours_out, ours_err)
        starting = asyncio.ensure_future(asyncio.to_thread(_started, list(words), theirs, cwd, environment))
        try:
            process = await asyncio.shield(starting)
        except OSError as error:
            _close(ours)
            raise Unavailable(f"The node could not start {words[0]} ({error.strerror}); install it.") from error
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            if starting.exception() is None:
                starting.result().kill()
                await asyncio.to_thread(starting.result().wait)
            _close(ours)
            raise
        return cls(process, PipeWriter(ours_in), PipeReader(ours_out), PipeReader(ours_err))

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return await asyncio.shield(self._exited)

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End it, if it has not, and let go of its pipes."""
        self.kill()
        await self.wait()
        self.stdin.close()
        self.stdout.close()
        self.stderr.close()

    async def _wait(self) -> int:
        exited, loop = asyncio.Event(), asyncio.get_running_loop()
        descriptor = os.pidfd_open(self._process.pid)
        loop.add_reader(descriptor, exited.set)
        try:
            await exited.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._process.wait()


async def run(words: Sequence[str], *, seconds: float, cwd: str = "/") -> tuple[int, bytes, bytes]:
    """Run a program to its end: exit code and both outputs. Raises `Timeout`, `Unavailable`."""
    child = await Child.start(words, cwd=cwd)
    try:
        async with asyncio.timeout(seconds):
            child.stdin.close()
            out, complaint = await asyncio.gather(_all(child.stdout), _all(child.stderr))
            return await child.wait(), out, complaint
    except TimeoutError as error:
        raise Timeout(f"{words[0]} on the node did not end within {seconds:g} seconds; try again.") from error
    finally:
        await child.close()


async def _all(reader: PipeReader) -> bytes:
    data = b""
    while piece := await reader.read():
        data += piece
    return data


def _started(
    words: list[str], pipes: tuple[int, int, int], cwd: str, environment: Mapping[str, str] | None
) -> "subprocess.Popen[bytes]":
    """In a thread: starting a process waits until its program is loaded. Our copies of its ends of the pipes are closed."""
    try:
        stdin, stdout, stderr = pipes
        told = None if environment is None else dict(environment)
        return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=told)
    finally:
        _close(pipes)


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
