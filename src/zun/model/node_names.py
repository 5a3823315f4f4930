# SPDX-License-Identifier: Apache-2.0
"""What a node may be called where several machines work together: the name stands in keys, certificates and DNS names."""

import re

from zun.model.errors import Invalid

MAX_LENGTH = 50
"""A certificate's common name has at most 64 characters (RFC 5280, ub-common-name); `zun.model.subjects` adds 14 to the name."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


RESERVED = frozenset({"join", "tokens"})
"""What stands where names of nodes do in URLs of the API."""


def check_node_name(name: str) -> str:
    """The name. Raises `Invalid` for one that is no lower-case DNS name of at most `MAX_LENGTH` characters, or reserved."""
    if len(name) > MAX_LENGTH or name in RESERVED or _NAME.fullmatch(name) is None:
        raise Invalid(
            f"{name[:80]!r} cannot be the name of a node: take at most {MAX_LENGTH} of a-z, 0-9, dash and dot, "
            "with a letter or digit at both ends and beside each dot, and neither `join` nor `tokens` (--node-name, or [compute] node_name; else it is the host name)."
        )
    return name
