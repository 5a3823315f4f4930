# SPDX-License-Identifier: Apache-2.0
"""The links there are, by name and number only: what the kernel tells without many words, of the calling thread's namespace."""

import socket


def link_names() -> list[str]:
    """All of them."""
    return [name for _, name in socket.if_nameindex()]


def link_index(name: str) -> int:
    """The number of a link; 0 when there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
