# SPDX-License-Identifier: Apache-2.0
"""The machine's process table, cut down to one container's processes."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable

from zun.drivers.runtime.types import Top
from zun.model.errors import Internal, Invalid, Unavailable

_DEFAULT = ("-ef",)
_SECONDS = 20.0


async def table(find: Callable[[], Awaitable[set[int]]], arguments: list[str]) -> Top:
    """What `ps` says of the processes that `find` finds, asked before and after: a number may be given to a stranger in between.

    The arguments are those that `ps_arguments.checked` let through. Raises `Invalid` when ps refuses them, `Unavailable` when it is
    missing or stuck, and what `find` raises.
    """
    pids = await find()
    lines = await _run_ps([*(arguments or _DEFAULT)])
    pids &= await find()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise Invalid("ps shows no column PID with these arguments; choose others.")
    place = titles.index("PID")
    processes = []
    for line in lines[1:]:
        words = line.split(None, len(titles) - 1)
        if len(words) == len(titles) and words[place].isdecimal() and int(words[place]) in pids:
            processes.append(words)
    return Top(titles=titles, processes=processes)


def split(arguments: str | None) -> list[str]:
    """Arguments as words. Raises `Invalid`."""
    try:
        return shlex.split(arguments or "")
    except ValueError as error:
        raise Invalid("ps_args has an open quotation mark.") from error


async def _run_ps(arguments: list[str]) -> list[str]:
    try:
        process = await asyncio.create_subprocess_exec(
            "ps",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise Unavailable("There is no ps on the node; install procps.") from error
    try:
        async with asyncio.timeout(_SECONDS):
            out, complaint = await process.communicate()
    except TimeoutError as error:
        raise Unavailable("ps on the node did not answer in time; try again.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        told = " ".join(complaint.decode(errors="replace").split())[:200]
        raise Invalid(f"ps refuses these arguments: {told}")
    if not out:
        raise Internal("ps on the node said nothing; look at its procps.")
    return out.decode(errors="replace").splitlines()
