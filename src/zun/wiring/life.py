# SPDX-License-Identifier: Apache-2.0
"""The life of a process, whatever its role: build, run every part, stop them in order when told to.

All parts live in one task group; when one of them fails for good the process ends, and the next start goes on where it stopped.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NoReturn

import uvloop

from zun.base import logs
from zun.config import Settings
from zun.model.errors import ZunError
from zun.wiring.basis import cannot_write
from zun.wiring.service_manager import ServiceManager

_LOG = logging.getLogger(__name__)

Part = Callable[[], Coroutine[object, object, object]]

STAGE_SECONDS = 20.0
"""A stage that has not stopped after so long is not waited for any more; when the others stopped too, the process ends without it.
Parts have shorter bounds of their own."""


@dataclass(frozen=True)
class House:
    """What runs in a process.

    `stages` hold the parts by name, in the order in which they stop: those that others call first, what all stand on last, so that
    what is in flight can end. `ready` returns when the process does its work, and `greeting` is said then. `end_streams` lets go of
    those who listen, so that stopping does not wait for them.
    """

    greeting: str
    stages: Sequence[Mapping[str, Part]]
    ready: Part
    end_streams: Callable[[], None] = lambda: None
    stage_seconds: float = STAGE_SECONDS


Build = Callable[[Settings, AsyncExitStack], Coroutine[object, object, House]]
"""A role: builds its house; what must be closed at the end goes on the stack."""


def run(settings: Settings, build: Build) -> int:
    """Run a role until SIGTERM or SIGINT; containers run on afterwards. Returns the exit code."""
    logs.set_up(settings.log.level, settings.log.format)
    failed = False
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told_to_stop(settings, build))
    except* ZunError as errors:
        failed = True
        for error in _leaves(errors):
            _LOG.error("%s", error)
    return 1 if failed else 0


def _leaves(group: BaseExceptionGroup[ZunError]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


async def _until_told_to_stop(settings: Settings, build: Build) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    manager = ServiceManager.of_this_process()
    async with AsyncExitStack() as stack:
        house = await _unless_stopped(_built(settings, build, stack), stop)
        if house is None:
            _LOG.info("stopped before it was ready; nothing was begun")
            return
        gc.freeze()  # modules and parts live as long as the process: no collection need look at them, and pause requests
        gc.enable()
        async with asyncio.TaskGroup() as tasks:
            stages = [
                [tasks.create_task(part(), name=name) for name, part in stage.items()]
                for stage in reversed(house.stages)
            ]
            greeting = tasks.create_task(_greet(house, manager))
            await stop.wait()
            _LOG.info("stopping; containers run on")
            manager.stopping()
            greeting.cancel()
            house.end_streams()
            hanging = [name for stage in reversed(stages) for name in await _end(stage, house.stage_seconds)]
            if hanging:
                _leave(hanging)


async def _built(settings: Settings, build: Build, stack: AsyncExitStack) -> House:
    try:
        return await build(settings, stack)
    except OSError as error:
        if not error.strerror:
            raise  # no file's trouble (a deadline is an OSError, too)
        raise cannot_write(settings.state_dir, error) from error


async def _unless_stopped(building: Coroutine[object, object, House], stop: asyncio.Event) -> House | None:
    """The house; None when the process is told to stop first."""
    task, told = asyncio.ensure_future(building), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        told.cancel()
        await asyncio.gather(task, told, return_exceptions=True)


async def _greet(house: House, manager: ServiceManager) -> None:
    await house.ready()
    # What was read meanwhile, a view of everything above all, is kept too: looking through it pauses requests for long.
    gc.collect()
    gc.freeze()
    _LOG.info("%s", house.greeting)
    manager.ready()


async def _end(stage: list[asyncio.Task[object]], seconds: float) -> list[str]:
    """Stop a stage; the names of parts that would not."""
    for task in stage:
        task.cancel()
    if not stage:
        return []
    _, hanging = await asyncio.wait(stage, timeout=seconds)
    return sorted(task.get_name() for task in hanging)


def _leave(hanging: list[str]) -> NoReturn:
    """End the process as a crash would, which loses nothing either: nobody waits for ever for a part that hangs."""
    _LOG.error("These parts do not stop and are left behind: %s", ", ".join(hanging))
    logging.shutdown()
    os._exit(1)
