# SPDX-License-Identifier: Apache-2.0
"""Ports for servers that must be told theirs before they start."""

import random
import socket
from typing import Final

PORTS: Final = range(15_000, 32_768)
"""Below those from which Linux takes a port for each outgoing connection: what is free here stays so until somebody listens."""

_TRIES: Final = 1_000


def free_port() -> int:
    """Give a loopback port nobody listens on at the moment, one that was hardly ever given before. Raises OSError when there is none."""
    for port in random.sample(PORTS, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(
        f"None of {_TRIES} ports between {PORTS.start} and {PORTS.stop} of 127.0.0.1 is free; end what listens there."
    )
