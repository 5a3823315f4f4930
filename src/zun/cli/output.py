# SPDX-License-Identifier: Apache-2.0
"""Printing: tables that fit the terminal for people, plain columns for pipes, JSON or YAML for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_COLOURS = {
    "Running": "green", "Paused": "yellow", "Error": "red", "Dead": "red", "Unknown": "magenta", "Stopped": "dim",
    "up": "green", "down": "red", "lost": "red", "forced": "red", "draining": "yellow", "restarting": "yellow",
}  # fmt: skip


def show(value: Any, output: str) -> bool:
    """Print `value` for a program if that is what was asked for; False means: print it for people."""
    if output == "json":
        print(json.dumps(value, indent=2, ensure_ascii=False))
    elif output == "yaml":
        import yaml  # noqa: PLC0415 - seldom needed

        print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    return output != "table"


def on_terminal() -> bool:
    """Whether a person reads our standard output."""
    return sys.stdout.isatty()


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table. On a terminal it is cut to fit; into a pipe every cell is whole and columns are two spaces apart."""
    cells = [[cell(value) for value in row] for row in rows]
    if not on_terminal():
        _plain([list(headings), *cells])
        return
    from rich.console import Console  # noqa: PLC0415 - only where a table is drawn

    Console(highlight=False).print(drawn(headings, cells))


def drawn(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> Any:
    """The table as rich draws it."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        grid.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in cells:
        grid.add_row(*(Text(text, style=_COLOURS.get(text.partition(" ")[0], "")) for text in row))
    return grid


def _plain(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def details(pairs: Mapping[str, object]) -> None:
    """One object, a line for each of its properties."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        print(f"{name.ljust(width)}  {cell(value)}")


def cell(value: object) -> str:
    """A value as a person reads it."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={kept}" for key, kept in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(kept) for kept in value)
    return str(value)


def note(text: str) -> None:
    """A remark for the person, beside the output."""
    print(text, file=sys.stderr)
