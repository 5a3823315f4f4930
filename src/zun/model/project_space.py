# SPDX-License-Identifier: Apache-2.0
"""A project's part in names that an engine keeps for all: volumes and committed images of two projects can never be the same."""

import hashlib
import re

_PLAIN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def project_space(project_id: str) -> str:
    """The id itself where it is a plain one. Others may hold anything, dashes too: their digest says where the id ends."""
    if _PLAIN.fullmatch(project_id):
        return project_id
    return "p" + hashlib.sha256(project_id.encode()).hexdigest()[:32]
