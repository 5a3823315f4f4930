# SPDX-License-Identifier: Apache-2.0
"""What systemd is told of this process: that it is ready, that it stops, what it waits for (sd_notify(3), Type=notify)."""

import os
import socket
from contextlib import suppress


class ServiceManager:
    """Whoever started the process and wants to know how it does; without an address nobody does."""

    def __init__(self, address: str | None) -> None:
        """`address`: what the environment's NOTIFY_SOCKET says."""
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address

    @classmethod
    def of_this_process(cls) -> "ServiceManager":
        """Who started this process."""
        return cls(os.environ.get("NOTIFY_SOCKET"))

    def ready(self) -> None:
        """The process does its work."""
        self._tell("READY=1\nSTATUS=ready")

    def stopping(self) -> None:
        """The process begins to stop."""
        self._tell("STOPPING=1\nSTATUS=stopping")

    def waits(self, why: str) -> None:
        """The process cannot go on yet."""
        self._tell(f"STATUS={' '.join(why.split())}")

    def _tell(self, words: str) -> None:
        """A manager that does not listen changes nothing for us."""
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(words.encode(), self._address)
