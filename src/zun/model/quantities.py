# SPDX-License-Identifier: Apache-2.0
"""Amounts as Kubernetes writes them ("500m", "128Mi"), beside the plain numbers of the wire contract (cores, MiB)."""

import math
import re
from fractions import Fraction
from typing import Any

from zun.model import container_rules as rules
from zun.model.rules import Rule

_MEBI = 2**20
_UNITS = {"": _MEBI, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"Ki": 2**10, "Mi": _MEBI, "Gi": 2**30, "Ti": 2**40}
_MOST_MEBIBYTES = 10**9

_THOUSANDTHS = r"[0-9]{1,12}m"
_AMOUNT = r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(|[kMGT]|[KMGT]i)"


def _cores(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(_THOUSANDTHS, value):
        return int(value[:-1]) / 1000
    cores = rules.CPU.read(value)
    if cores < 0:
        raise ValueError
    return cores


def _mebibytes(value: Any) -> int:
    """Rounded up: some clients make a part of a MiB out of bytes, and a limit must not become smaller than what was asked for."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError  # noqa: TRY004 - rules speak through ValueError
    if isinstance(value, str):
        found = re.fullmatch(_AMOUNT, value)
        if found is None:
            raise ValueError
        mebibytes = math.ceil(Fraction(found[1]) * _UNITS[found[2]] / _MEBI)
    elif not 0 <= value <= _MOST_MEBIBYTES:
        raise ValueError
    else:
        mebibytes = math.ceil(round(value, 6))
    if mebibytes > _MOST_MEBIBYTES:
        raise ValueError
    return mebibytes


CORES: Rule[float] = Rule(
    _cores,
    "a number of cores, such as 0.5 or '500m'",
    {"oneOf": [*rules.CPU.schema["oneOf"], {"type": "string", "pattern": f"^{_THOUSANDTHS}$"}]},
)
"""Cores: a number, its text, or thousandths with an `m` behind them."""

MEBIBYTES: Rule[int] = Rule(
    _mebibytes,
    "a number of MiB, or an amount with a unit, such as '128Mi' or '1G'",
    {"oneOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_AMOUNT}$"}]},
)
"""MiB: a number without a unit is one of MiB, as in the wire contract and unlike Kubernetes, which takes it for bytes."""
