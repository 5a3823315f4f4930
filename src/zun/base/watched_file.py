# SPDX-License-Identifier: Apache-2.0
"""A file that people change while the service runs, and that is asked for often: looked at once a second at most."""

from pathlib import Path

from zun.base.clock import Clock

_LOOK_AGAIN_SECONDS = 1.0


class WatchedFile:
    """Tells when a file is another than it was. Make it before the file is read, so that no change in between is missed.

    None is a file that is never there.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._stamp = _stamp_of(path)
        self._look_at = clock.monotonic() + _LOOK_AGAIN_SECONDS

    def changed(self) -> bool:
        """Whether the file changed since this was last true, came or went. False within a second of the last look."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_AGAIN_SECONDS
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        return True


def _stamp_of(path: Path | None) -> tuple[int, int, int, int] | None:
    """What changes when the file, or who may read it, does."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode
