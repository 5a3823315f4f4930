# SPDX-License-Identifier: Apache-2.0
"""What the whole service costs when nothing is asked of it, and how long it takes to be ready.

python -m benchmarks.idle [--seconds 30] [--starts 5]
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from benchmarks.house import house
from benchmarks.rows import Part, Row, milliseconds, percentile

READY_TARGET_SECONDS = 1.0
MEMORY_TARGET_MB = 120
CPU_TARGET_PERCENT = 1.0
GROUP = "zund all, Docker, embedded store"


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional memory of a process, in MB (10⁶ bytes)."""
    told = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        told[name] = int(rest.split()[0]) * 1024 / 1e6
    return told["Rss"], told["Pss"]


def cpu_seconds(pid: int) -> float:
    """Processor time of all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(bytecode: Path, seconds: float = 30, starts: int = 5) -> Part:
    """Start it some times, then leave the last one alone."""
    async with house(bytecode, runtime="docker"):
        pass  # compiles what is not compiled
    ready = []
    for number in range(starts):
        async with house(bytecode, runtime="docker") as where:
            ready.append(where.ready_seconds)
            if number < starts - 1:
                continue
            await asyncio.sleep(3)
            begun, spent = time.perf_counter(), cpu_seconds(where.pid)
            await asyncio.sleep(seconds)
            share = 100 * (cpu_seconds(where.pid) - spent) / (time.perf_counter() - begun)
            resident, proportional = memory(where.pid)
    median = percentile(ready, 0.5)
    rows = [
        Row(
            group=GROUP,
            measure=f"start to ready, median of {starts}",
            ours=milliseconds(median),
            target=f"≤ {READY_TARGET_SECONDS:.0f} s",
            met=median <= READY_TARGET_SECONDS,
        ),
        Row(
            group=GROUP,
            measure="memory idle, resident (proportional)",
            ours=f"{resident:.0f} MB ({proportional:.0f} MB)",
            target=f"≤ {MEMORY_TARGET_MB} MB",
            met=resident <= MEMORY_TARGET_MB,
        ),
        Row(
            group=GROUP,
            measure=f"CPU idle, over {seconds:.0f} s",
            ours=f"{share:.2f} % of a core",
            target=f"≤ {CPU_TARGET_PERCENT:.0f} %",
            met=share <= CPU_TARGET_PERCENT,
        ),
    ]
    conditions = (
        "start: from the start of the process to the first 200 of /healthcheck, bytecode there, state directory empty (fastest "
        f"{milliseconds(min(ready))}, slowest {milliseconds(max(ready))})"
    )
    return Part(rows, conditions)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="how long it is left alone")
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zun-bench-pyc-") as bytecode:
        part = asyncio.run(run(Path(bytecode), given.seconds, given.starts))
    for row in part.rows:
        print(f"{row.measure:40} {row.ours:>22}  target {row.target}  {row.verdict}")
    print(part.conditions)


if __name__ == "__main__":
    main()
