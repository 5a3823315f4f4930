# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel's tables are as they were written: the same elements, and as many chains and rules. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from zun.cni.firewall.ruleset import FAMILIES, MAPS, SETS, Elements

_HEXADECIMAL = re.compile("0x[0-9a-f]+")
_Listed = Mapping[str, list[dict[str, Any]] | None]


def is_whole(tables: _Listed, wanted: Elements, written: str) -> bool:
    """`tables`: each family's as nft lists it in JSON; `written`: the text that made them."""
    if any(tables[family] is None for family in FAMILIES):
        return False
    listed = [one for family in FAMILIES for one in tables[family] or ()]
    rules = sum("rule" in one for one in listed)
    chains = sum("chain" in one for one in listed)
    return (
        chains == written.count("chain ") and rules == _rules_in(written) and _elements_in(listed) == _numbered(wanted)
    )


def _rules_in(written: str) -> int:
    """A rule is a line of a chain that does not open it, close it, or say where it is hooked in."""
    inside, count = False, 0
    for line in map(str.strip, written.splitlines()):
        if line.startswith("chain "):
            inside = True
        elif line == "}":
            inside = False
        elif inside and line and not line.startswith("type "):
            count += 1
    return count


def _elements_in(listed: list[dict[str, Any]]) -> dict[tuple[str, str], frozenset[str]]:
    found = {}
    for one in listed:
        told = one.get("set") or one.get("map")
        if told is not None:
            held = frozenset(_shown(_text(element)) for element in told.get("elem", ()))
            if held:
                found[told["family"], told["name"]] = held
    return found


def _text(element: Any) -> str:
    if isinstance(element, list):
        return " : ".join(map(_text, element))
    if isinstance(element, dict):
        return _text(element["elem"]["val"]) if "elem" in element else " . ".join(map(_text, element["concat"]))
    return str(element)


def _numbered(wanted: Elements) -> dict[tuple[str, str], frozenset[str]]:
    """As they are compared: numbers in decimal, names without quotes."""
    return {
        place: frozenset(_shown(text) for text in texts)
        for place, texts in wanted.items()
        if texts and place in {**SETS, **MAPS}
    }


def _shown(text: str) -> str:
    """Versions of nft differ in whether large numbers are told in decimal or not."""
    parts = text.replace('"', "").split(" . ")
    return " . ".join(str(int(part, 16)) if _HEXADECIMAL.fullmatch(part) else part for part in parts)
