# SPDX-License-Identifier: Apache-2.0
"""One agent a state directory: two of them would each take the other's sign of life for its own, and both would start containers."""

import fcntl
import os
import time
from pathlib import Path

from zun.agent import watchdog
from zun.model.errors import Unavailable

_TRIES = 10
_PAUSE_SECONDS = 0.05


def hold_alone(state_dir: Path) -> int:
    """Take the directory for this process; returns what to close when the agent has ended. Raises `Unavailable` while another one has it.

    A frozen process holds it too. The kernel lets go of it when the process is gone, however it went.
    """
    path = state_dir / watchdog.AGENT_LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)  # a watchdog that looks whether an agent works holds it for an instant
            continue
        return descriptor
    os.close(descriptor)
    raise Unavailable(
        f"Another agent works with {state_dir}; end that one first (it may be frozen), or give another --state-dir."
    )
