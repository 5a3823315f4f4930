# SPDX-License-Identifier: Apache-2.0
"""Orders on standard input, answers on standard output, a line of JSON each: how the processes of a fleet are led."""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import uvloop

_TESTS = Path(__file__).resolve().parents[2]
_LINE_BYTES = 1 << 26
_END_SECONDS = 30

Order = Callable[[dict[str, Any]], Awaitable[Any]]


class Child:
    """A process of the fleet: a module of this package that obeys orders. Ended hard; what it leaves, its leases end."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"support.fleet.{module}", *arguments],
            cwd=_TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def tell(self, do: str, **order: Any) -> None:
        """Give an order; its answer is heard later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The answer to the oldest order that was not heard yet."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait(_END_SECONDS)}"
        return json.loads(line)

    def ask(self, do: str, **order: Any) -> Any:
        """Give an order and hear its answer."""
        self.tell(do, **order)
        return self.hear()

    def kill(self) -> None:
        """End it as a power failure does."""
        self._process.kill()
        self._process.wait(_END_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def begin(run: Callable[[str], Coroutine[Any, Any, None]], what: str | None) -> None:
    """A process of the fleet: `run` with the endpoint that its command line names."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--endpoint", required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args().endpoint))


async def obey(orders: Mapping[str, Order]) -> None:
    """Carry out orders one after the other until there are no more."""
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            order = json.loads(line)
            print(json.dumps(await orders[order["do"]](order)), flush=True)
    finally:
        transport.close()
