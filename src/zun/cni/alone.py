# SPDX-License-Identifier: Apache-2.0
"""One daemon in a network namespace: two would each take the other's rules and links for leftovers."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zun.cni.namespaces import own_identity
from zun.model.errors import Unavailable

RUN = Path("/run/zun")


@contextmanager
def alone() -> Iterator[None]:
    """Be the only one for the block. Raises `Unavailable` when another one runs, or without the right to be one."""
    if os.geteuid() != 0:
        raise Unavailable("Only root may bind networks; run zund as root, or set [network] driver = engine.")
    RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = RUN / f"cni-{own_identity().replace(':', '-')}.lock"
    descriptor = _locked(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise Unavailable(
                "Another network daemon binds the sandboxes of this machine; stop it, or set [network] driver = engine."
            ) from error
        if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)  # whoever ended just now took the file away
