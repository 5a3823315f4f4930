# SPDX-License-Identifier: Apache-2.0
"""The tables, for a terminal and for the pages below docs/. What people wrote below the marker in a page is kept."""

import asyncio
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiodocker
import msgspec

from benchmarks.rows import Part, Row
from zun import __version__

DOCS = Path(__file__).resolve().parent.parent / "docs"
COLUMNS = ("measure", "ours", "baseline", "ratio", "target", "")


class Page(msgspec.Struct, frozen=True):
    """A page of docs/ that a target of make writes."""

    name: str
    title: str
    target: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return DOCS / self.name

    @property
    def marker(self) -> str:
        """What stands above the part that people write."""
        return f"<!-- Written by hand from here on; `make {self.target}` keeps it. -->"


ONE_MACHINE = Page("benchmarks.md", "Benchmarks", "bench")
FLEET = Page("benchmarks-fleet.md", "Benchmarks of a fleet", "bench-fleet")


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


def written(page: Page, parts: Sequence[Part], machine: str, kept: str) -> str:
    """The page's text; `kept` is what stands below the marker."""
    missed = [row for part in parts for row in part.rows if row.met is False]
    lines = [
        f"# {page.title}",
        "",
        f"Measured by `make {page.target}`, which writes this page; nothing in the table is estimated. A baseline is measured in the same run.",
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
    lines += ["", "## Conditions", *(f"- {part.conditions}." for part in parts), "", page.marker, kept.strip(), ""]
    return "\n".join(lines)


def write(page: Page, parts: Sequence[Part], machine: str) -> None:
    """Write the page, keeping what people wrote."""
    before = page.path.read_text(encoding="utf-8") if page.path.exists() else ""
    page.path.write_text(written(page, parts, machine, before.partition(page.marker)[2]), encoding="utf-8")


def machine(*servers: str) -> str:
    """When and on what: no names of hosts, no paths. `servers`: what else was used, with its version."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    now = datetime.now(UTC)
    return (
        f"{now:%Y-%m-%d %H:%M} UTC. {_cpu()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release().partition('-')[0]}, Python "
        f"{', '.join((platform.python_version(), *servers))}, Zun {__version__}."
    )


def docker() -> str:
    """The engine."""
    return f"Docker {asyncio.run(_docker_version())}"


def etcd() -> str:
    """The etcd that is installed."""
    said = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    return f"etcd {said.partition(':')[2].split()[0]}"


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
