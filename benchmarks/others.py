# SPDX-License-Identifier: Apache-2.0
"""The measurements that are programs of their own, run one after the other, as rows of the one table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.house import environment
from benchmarks.rows import Part, Row, rate

HERE = Path(__file__).parent
TIME_LIMIT_SECONDS = 240
LIST_TARGET = 0.80
SHOW_TARGET = 5000
PLACEMENTS_TARGET = 2000
VIEW_TARGET_BYTES = 3000


def told(bytecode: Path, script: str, *arguments: str) -> Any:
    """What a program prints as JSON."""
    command = [sys.executable, str(HERE / script), *arguments, "--json"]
    env = environment(bytecode)
    done = subprocess.run(command, env=env, capture_output=True, timeout=TIME_LIMIT_SECONDS, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout)


def rest(bytecode: Path, seconds: float = 1.5, rounds: int = 3) -> Part:
    """Lists and shows."""
    rows = []
    for case in told(bytecode, "rest.py", "--seconds", str(seconds), "--rounds", str(rounds)):
        ratio, per_second = case["ratio"], case["replies/s"]
        target, met = "", None
        if case["case"].startswith("list") and "changes" not in case["case"]:
            target, met = f"ratio ≥ {LIST_TARGET:.2f}", ratio >= LIST_TARGET
        elif case["case"].startswith("show") and "changes" not in case["case"]:
            target, met = f"≥ {SHOW_TARGET:,}/s", per_second >= SHOW_TARGET
        rows.append(
            Row(
                group="reads, one worker",
                measure=f"{case['case']} ({case['bytes']:,} bytes), replies/s, p99",
                ours=f"{rate(per_second)}, {case['p99 ms']:.1f} ms",
                baseline=f"{rate(case['bare replies/s'])}, {case['bare p99 ms']:.1f} ms",
                ratio=f"{ratio:.2f}",
                target=target,
                met=met,
            )
        )
    return Part(
        rows,
        "reads: authenticated, sqlite, 1,100 containers of two projects; the baseline is a bare ASGI application under the same server that "
        "answers a constant body of the same size; one process each, the client on the other core, the two in turns",
    )


def placements(bytecode: Path) -> Part:
    """The planner."""
    found = told(bytecode, "placements.py")
    rows = [
        Row(
            group="placement, one process",
            measure=f"{one['what']}: placements/s",
            ours=rate(one["per_second"]),
            target=f"≥ {PLACEMENTS_TARGET:,}/s" if number == 0 else "",
            met=one["per_second"] >= PLACEMENTS_TARGET if number == 0 else None,
        )
        for number, one in enumerate(found)
    ]
    sampled, whole = found[1], found[2]
    rows.append(
        Row(
            group="placement, one process",
            measure="spread of the nodes' load (deviation, in points of percent), sampled; baseline: all compared",
            ours=f"{sampled['deviation']:.2f}",
            baseline=f"{whole['deviation']:.2f}",
        )
    )
    return Part(
        rows, "placement: plan and claim, one after the other; equal nodes of 64 CPUs, containers of mixed sizes"
    )


def view_memory(bytecode: Path) -> Part:
    """Memory of what is watched."""
    found = told(bytecode, "view_memory.py")
    size = found["bytes_per_container"]
    after = found["bytes_per_container_with_statuses"]
    row = Row(
        group="memory",
        measure=f"a stored container in the view, {found['containers']:,} of them (after all statuses were asked for)",
        ours=f"{size:,.0f} B ({after:,.0f} B)",
        target=f"≤ {VIEW_TARGET_BYTES:,} B",
        met=max(size, after) <= VIEW_TARGET_BYTES,
    )
    return Part(
        [row],
        f"memory: growth of the process's resident memory by wish, place and observation ({found['stored_bytes_per_container']:.0f} bytes of "
        "JSON each container)",
    )


def accepts(bytecode: Path, creates: int = 2000) -> Part:
    """The service without HTTP."""
    rows = [
        Row(
            group="accepting, without HTTP and engine",
            measure=f"{one['what']}: creates/s",
            ours=rate(one["per_second"]),
        )
        for one in told(bytecode, "accepts.py", "--creates", str(creates))
    ]
    return Part(rows, "accepting: validation, policy, quota, one durable transaction, seen in the view")
