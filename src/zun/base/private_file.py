# SPDX-License-Identifier: Apache-2.0
"""Files that hold secrets: mode 0600, replaced whole or not at all. What root writes into a directory of somebody else is theirs.

The last, because operators run commands as root (`zund ca issue`, `zund user add`) in the directory of a service that runs as a user of its own.
"""

import os
import tempfile
from pathlib import Path


def replace_private(path: Path, content: bytes) -> None:
    """Write the file durably with mode 0600; a reader sees the old content or the new, never a part. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 by its contract
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            give_to_owner_of(path.parent, descriptor)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def give_to_owner_of(directory: Path, descriptor: int) -> None:
    """Let an open file belong to who has the directory it lies in; only root can, others need not. Raises `OSError`."""
    owner = directory.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def is_private(path: Path) -> bool:
    """Whether nobody but the owner (and root) may read or write it. Raises `OSError`."""
    return path.stat().st_mode & 0o077 == 0
