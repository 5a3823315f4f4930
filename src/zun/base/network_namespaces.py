# SPDX-License-Identifier: Apache-2.0
"""Network namespaces as the kernel shows them: told apart, and entered by threads that never come back. Raises `OSError`."""

import ctypes
import fcntl
import os
from pathlib import Path

_NS_GET_NSTYPE = 0xB703
_CLONE_NEWNET = 0x40000000
_PROC = Path("/proc")


def is_network_namespace(descriptor: int) -> bool:
    """Whether an open file is one. Raises `OSError` for what is no namespace at all."""
    return bool(fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == _CLONE_NEWNET)


def identity(descriptor: int) -> str:
    """What tells a namespace from all others that live at the same time."""
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def own_identity(process: int | str = "self") -> str:
    """The namespace of this process, or of another of this machine."""
    status = (_PROC / str(process) / "ns/net").stat()
    return f"{status.st_dev}:{status.st_ino}"


def enter(descriptor: int) -> None:
    """Move the calling thread there. It must end there: who comes after it in the same thread would not know where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
