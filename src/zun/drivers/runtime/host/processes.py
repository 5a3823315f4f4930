# SPDX-License-Identifier: Apache-2.0
"""The machine's processes, as far as they are one container's: their table, and the end of one."""

import os
import shlex
import signal
from collections.abc import Awaitable, Callable

from zun.drivers.runtime.host.cgroups import groups_of
from zun.drivers.runtime.host.children import run
from zun.drivers.runtime.types import Top
from zun.model.errors import Invalid, Unsupported

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


def kill_in(container_id: str, pid: int) -> None:
    """Kill (SIGKILL) a process of a container; one that has ended is no error.

    Raises `Unsupported` when this machine does not show the process in the container's control group: then it may be somebody else's, for
    the engine may be on another machine.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not groups_of(container_id, pid):
            raise Unsupported("The process is not seen in the container's control group here, so it is not killed.")
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return
    except OSError as error:
        raise Unsupported(f"The process cannot be killed from here: {error.strerror}; let zund run as root.") from error
    finally:
        os.close(process)


def split(arguments: str | None) -> list[str]:
    """Arguments as words. Raises `Invalid`."""
    try:
        return shlex.split(arguments or "")
    except ValueError as error:
        raise Invalid("ps_args has an open quotation mark.") from error


async def _run_ps(arguments: list[str]) -> list[str]:
    code, out, complaint = await run(["ps", *arguments], seconds=_SECONDS)
    if code:
        told = " ".join(complaint.decode(errors="replace").split())[:200]
        raise Invalid(f"ps refuses these arguments: {told}")
    return out.decode(errors="replace").splitlines()
