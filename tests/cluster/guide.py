# SPDX-License-Identifier: Apache-2.0
"""A guide as a reader follows it: its marked blocks, in order, each on the machines it is for.

A block of a guide is followed when an HTML comment stands before it, which nobody sees in the rendered page:

    <!-- follow on MACHINE… -->      the commands of a console block, behind `# ` (lines without it are what a command prints)
    <!-- write on MACHINE… -->       a configuration, which becomes /etc/zun.conf there
"""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^<!-- (?P<verb>follow|write) on (?P<machines>[\w ]+) -->\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
_COMMAND = re.compile(r"^# (?P<command>(?:.*\\\n)*.*)$", re.M)


@dataclass(frozen=True)
class Step:
    """One block, and where it is for."""

    machines: tuple[str, ...]
    configuration: str
    commands: tuple[str, ...]


def steps(guide: Path) -> list[Step]:
    """The marked blocks of a guide. Raises `ValueError` for a mark that no block follows."""
    text = guide.read_text()
    found = [_step(block) for block in _BLOCK.finditer(text)]
    if len(found) != len(re.findall(r"<!-- (?:follow|write) ", text)):
        raise ValueError(f"{guide} has a mark of what is to be followed with no block behind it.")
    return found


def _step(block: re.Match[str]) -> Step:
    machines, text = tuple(block["machines"].split()), block["text"]
    if block["verb"] == "write":
        return Step(machines, text, ())
    return Step(machines, "", tuple(found["command"] for found in _COMMAND.finditer(text)))
