# SPDX-License-Identifier: Apache-2.0
"""What a node may be called where several machines work together: the name stands in keys, certificates and DNS names."""

import re

from zun.model.errors import Invalid

_PATTERN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def check_node_name(name: str) -> str:
    """The name. Raises `Invalid` for one that is not 1 to 63 small letters, digits, dots and dashes between letters or digits."""
    if _PATTERN.fullmatch(name) is None:
        raise Invalid(
            f"{name!r} cannot be the name of a node: take 1 to 63 of a-z, 0-9, dot and dash, with a letter or digit at both ends "
            "([compute] node_name; without it the host name is taken)."
        )
    return name
