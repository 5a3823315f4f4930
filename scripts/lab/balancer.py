# SPDX-License-Identifier: Apache-2.0
"""The machine in front of the API servers: Debian's HAProxy. It is also the only one the host reaches, on a loopback port."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from lab.hosts import API_PORT, with_role
from lab.machine import Machine
from lab.processes import Process, get

TEMPLATE = Path(__file__).with_name("haproxy.cfg")
_PLACE = "/etc/haproxy/haproxy.cfg"


def furnish(machine: Machine) -> None:
    """Put HAProxy's configuration on the machine, before it is switched on."""
    servers = "\n".join(f"    server {host.name} {host.address}:{API_PORT}" for host in with_role("control"))
    text = TEMPLATE.read_text().replace("@ADDRESS@", f"{machine.host.address}:{API_PORT}").replace("@SERVERS@", servers)
    machine.write(_PLACE, text)


def processes(port: Callable[[], int]) -> list[Process]:
    """Give what runs there. It gets a socket that listens on the host's loopback, and so serves both networks."""
    return [
        Process(
            "haproxy",
            [program(), "-db", "-f", _PLACE],
            ready=lambda: answers(port()),
            sockets=lambda: [listen(port())],
        )
    ]


def program() -> str:
    """Give the path of HAProxy's program."""
    return shutil.which("haproxy", path="/usr/sbin:/usr/bin") or "haproxy"


def listen(port: int) -> socket.socket:
    """Listen on the host's loopback. Raises OSError when the port is taken."""
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        made.listen(1024)
    except OSError:
        made.close()
        raise
    return made


def answers(port: int) -> bool:
    """Whether anybody answers there, if only that no API server is up."""
    return get(lambda timeout: socket.create_connection(("127.0.0.1", port), timeout), "/")[0] != 0
