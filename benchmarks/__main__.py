# SPDX-License-Identifier: Apache-2.0
"""Everything in about five minutes: `python -m benchmarks [--no-page] [PART…]`. Without names all parts run and the page is written."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from benchmarks import (
    cli_start,
    create,
    etcd,
    idle,
    logs,
    networks,
    networks_docker,
    others,
    pods,
    posts,
    report,
    streams,
)
from benchmarks.rows import Part

PARTS: dict[str, Callable[[Path], Part]] = {
    "create": lambda bytecode: _asyncio(create.run(bytecode)),
    "pods": lambda bytecode: _asyncio(pods.run(bytecode)),
    "posts": lambda bytecode: _asyncio(posts.run(bytecode)),
    "accepts": others.accepts,
    "rest": others.rest,
    "placements": others.placements,
    "etcd": lambda bytecode: _asyncio(etcd.run(bytecode)),
    "idle": lambda bytecode: _asyncio(idle.run(bytecode)),
    "streams": lambda bytecode: _asyncio(streams.run(bytecode)),
    "logs": lambda bytecode: _asyncio(logs.run(bytecode)),
    "view-memory": others.view_memory,
    "cli": cli_start.run,
    "networks": networks.run,
    "networks-docker": lambda bytecode: _asyncio(networks_docker.run(bytecode)),
}


def _asyncio(work: object) -> Part:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)  # type: ignore[arg-type]


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")
    given = parser.parse_args()
    unknown = [name for name in given.part if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; parts are {', '.join(PARTS)}")
    machine, loads, found = report.machine(report.docker()), [report.load()], []
    with tempfile.TemporaryDirectory(prefix="zun-bench-pyc-") as bytecode:
        for name in given.part or PARTS:
            begin = time.perf_counter()
            print(f"==> {name}", end="", file=sys.stderr, flush=True)
            found.append(PARTS[name](Path(bytecode)))
            loads.append(report.load())
            print(f" ({time.perf_counter() - begin:.0f} s)", file=sys.stderr, flush=True)
    print(report.printed(found))
    if not given.part and not given.no_page:
        report.write(
            report.ONE_MACHINE,
            found,
            f"{machine} Load average before the run {loads[0]:.1f}, at most {max(loads):.1f} in it.",
        )


if __name__ == "__main__":
    main()
