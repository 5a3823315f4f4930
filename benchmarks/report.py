# SPDX-License-Identifier: Apache-2.0
"""The table, for a terminal and for docs/benchmarks.md. What people wrote below the marker in the page is kept."""

import asyncio
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiodocker

from benchmarks.rows import Part, Row
from zun import __version__

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
MARKER = "<!-- Written by hand from here on; `make bench` keeps it. -->"
COLUMNS = ("measure", "ours", "baseline", "ratio", "target", "")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    return row.measure, row.ours, row.baseline, row.ratio, row.target, row.verdict


def printed(parts: Sequence[Part]) -> str:
    """For a terminal."""
    table = [COLUMNS, *(cells(row) for part in parts for row in part.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    lines, group = [], ""
    for row in (row for part in parts for row in part.rows):
        if row.group != group:
            group = row.group
            lines += ["", group]
        lines.append(_padded(cells(row), widths))
    return "\n".join([_padded(COLUMNS, widths), *lines])


def _padded(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def page(parts: Sequence[Part], machine: str, kept: str) -> str:
    """docs/benchmarks.md."""
    missed = [row for part in parts for row in part.rows if row.met is False]
    lines = [
        "# Benchmarks",
        "",
        "Measured by `make bench`, which writes this page; nothing in the table is estimated. A baseline is measured in the same run.",
        "",
        machine,
        "",
        f"| what | {' | '.join(COLUMNS[:-1])} | |",
        "| --- " * (len(COLUMNS) + 1) + "|",
    ]
    group = ""
    for row in (row for part in parts for row in part.rows):
        shown = row.group if row.group != group else ""
        group = row.group
        verdict = f"**{row.verdict}**" if row.met is False else row.verdict
        lines.append(f"| {' | '.join((shown, *cells(row)[:-1], verdict))} |")
    lines += ["", f"Targets missed in this run: {'; '.join(row.measure for row in missed) or 'none'}."]
    lines += ["", "## Conditions", *(f"- {part.conditions}." for part in parts), "", MARKER, kept.strip(), ""]
    return "\n".join(lines)


def write(parts: Sequence[Part], machine: str) -> None:
    """Write the page, keeping what people wrote."""
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(page(parts, machine, before.partition(MARKER)[2]), encoding="utf-8")


def machine() -> str:
    """When and on what: no names of hosts, no paths."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    now = datetime.now(UTC)
    return (
        f"{now:%Y-%m-%d %H:%M} UTC. {_cpu()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release().partition('-')[0]}, Python "
        f"{platform.python_version()}, Docker {asyncio.run(_docker_version())}, Zun {__version__}."
    )


def load() -> float:
    """How busy the machine was in the last minute; a run by itself makes about 2 of it, much more is other work."""
    return os.getloadavg()[0]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


async def _docker_version() -> str:
    async with aiodocker.Docker() as docker:
        return str((await docker.version())["Version"])
