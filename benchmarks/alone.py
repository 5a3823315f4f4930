# SPDX-License-Identifier: Apache-2.0
"""One part of the benchmarks by itself, printed and not written down."""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from benchmarks.rows import Part


def run_alone(run: Callable[[Path, int], Awaitable[Part]], what: str | None, *, rounds: int, means: str) -> None:
    """Measure and print. `what` describes the program, `means` its rounds."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=means)
    given = parser.parse_args()

    async def measured(bytecode: str) -> Part:
        return await run(Path(bytecode), given.rounds)

    with (
        tempfile.TemporaryDirectory(prefix="zun-bench-pyc-") as bytecode,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        part = runner.run(measured(bytecode))
    for row in part.rows:
        print(f"{row.measure:56} ours {row.ours:>9}  direct {row.baseline:>9}  ratio {row.ratio}  {row.verdict}")
    print(part.conditions)
