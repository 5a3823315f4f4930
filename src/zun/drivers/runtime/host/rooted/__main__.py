# SPDX-License-Identifier: Apache-2.0
"""The process: mounts, enters, does one thing, says how it went."""

import json
import os
import resource
import sys
import tarfile
from typing import Any

from zun.drivers.runtime.host.rooted.entering import enter
from zun.drivers.runtime.host.rooted.packing import pack, stat_of
from zun.drivers.runtime.host.rooted.unpacking import RefusedError, check_directory, unpack

_MEMORY_BYTES = 512 << 20
"""A tar's headers claim sizes; whoever believes them needs a limit."""


class _Voice:
    """Says JSON on standard output while that is expected there; once a tar has begun, only standard error is left."""

    def __init__(self) -> None:
        self.packing = False

    def say(self, told: dict[str, Any]) -> None:
        """One line."""
        line = json.dumps(told).encode() + b"\n"
        out = sys.stderr.buffer if self.packing else sys.stdout.buffer
        out.write(line)
        out.flush()

    def fail(self, error: Exception) -> int:
        """What went wrong, by what the caller can do about it."""
        if isinstance(error, RefusedError | tarfile.TarError | MemoryError | EOFError):
            kind = "invalid"
        elif isinstance(error, FileNotFoundError):
            kind = "not-found"
        elif isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError):
            kind = "invalid"
        else:
            kind = "failed"
        self.say({"error": kind, "message": getattr(error, "strerror", None) or str(error) or type(error).__name__})
        return 1


def main() -> int:
    """Do what the first argument says."""
    task = json.loads(sys.argv[1])
    voice = _Voice()
    os.umask(
        0o022
    )  # directories that a tar needs but does not name are as open as in any container, whatever the service has
    try:
        enter(task["root"], task["mount"], task["binds"], task["at"])
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        if task["verb"] == "get":
            voice.say({"stat": stat_of(task["path"])})
            voice.packing = True
            pack(task["path"], task["name"], sys.stdout.buffer)
        else:
            check_directory(task["path"])
            voice.say({"stat": {}})
            unpack(task["path"], sys.stdin.buffer)
            voice.say({"stat": {}})
    except BrokenPipeError:
        return 0  # nobody wants it any more
    except (OSError, RefusedError, tarfile.TarError, MemoryError, EOFError) as error:
        return voice.fail(error)
    return 0


if __name__ == "__main__":
    code = main()
    os._exit(code)  # nothing is left to be tidied, and a closed pipe is no news
