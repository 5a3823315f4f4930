# SPDX-License-Identifier: Apache-2.0
"""Room on file systems."""

import os
from pathlib import Path


def free_bytes(path: Path) -> int | None:
    """The room left for this process on the file system of `path`; None when that cannot be seen."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def free_mib(path: Path) -> int | None:
    """The same in MiB, rounded down."""
    found = free_bytes(path)
    return None if found is None else found // 2**20
