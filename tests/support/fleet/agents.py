# SPDX-License-Identifier: Apache-2.0
"""A process with many agents, which share its event loop and its one connection to etcd."""

import argparse
import asyncio
import gc
import logging
import sys
from pathlib import Path
from typing import Any

import uvloop

from support.fleet.node import SimulatedNode, Told, make_node, register
from support.fleet.orders import obey
from support.fleet.reading import connect
from zun.agent.options import AgentOptions
from zun.base.clock import SystemClock
from zun.store.etcd.store import EtcdStore

_STARTING_AT_ONCE = 64
_COLLECT_AFTER = (50_000, 50, 1_000)


class Agents:
    """All nodes of this process."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._told = Told()

    async def start(self, store: EtcdStore, first: int, count: int, directory: Path) -> None:
        """Make them known and start them; returns when each works on its inbox."""
        clock, options = SystemClock(), AgentOptions()
        nodes = [
            make_node(number, store=store, clock=clock, options=options, directory=directory, told=self._told)
            for number in range(first, first + count)
        ]
        await register(store, nodes, clock)
        slots = asyncio.Semaphore(_STARTING_AT_ONCE)

        async def start(node: SimulatedNode) -> None:
            async with slots:
                self._tasks.create_task(node.agent.run(), name=node.name)
                await node.agent.ready()

        await asyncio.gather(*(start(node) for node in nodes))
        # A process that is a thousand nodes holds a thousand times what a collection has to look at, and makes a thousand times the
        # garbage that calls for one. A node by itself hardly ever collects.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)
        gc.enable()

    async def count(self, _: dict[str, Any]) -> dict[str, int]:
        """How many containers the control plane knows to run and to be gone, by what was told since the last `forget`."""
        return {"running": len(self._told.running), "gone": self._told.gone}

    async def running(self, _: dict[str, Any]) -> dict[str, float]:
        """When each was known to run."""
        return self._told.running

    async def forget(self, _: dict[str, Any]) -> None:
        """Count anew."""
        self._told.running.clear()
        self._told.gone = 0


async def run(given: argparse.Namespace) -> None:
    """Start, say so, obey."""
    store = await connect(given.endpoint)
    async with asyncio.TaskGroup() as tasks:
        agents = Agents(tasks)
        await agents.start(store, given.first, given.nodes, given.directory)
        print(given.nodes, flush=True)
        await obey({"count": agents.count, "running": agents.running, "forget": agents.forget})
        raise SystemExit(0)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
