# SPDX-License-Identifier: Apache-2.0
"""The kernel's network settings, of the namespace that the calling thread is in."""

import logging
from pathlib import Path

from zun.model.errors import Internal

_LOG = logging.getLogger(__name__)
_ROOT = Path("/proc/sys/net")


def has_ipv6() -> bool:
    """Whether the kernel knows IPv6 at all."""
    return (_ROOT / "ipv6").is_dir()


def set_value(name: str, value: str) -> None:
    """Set one (`ipv4/ip_forward`), if it is not so already. Raises `Internal`."""
    path = _ROOT / name
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise Internal(f"The kernel's setting net/{name} cannot be made {value}: {error.strerror}.") from error


def forward_ipv4() -> None:
    """Let the machine pass packets on, as every router between bridges and the outside has to. Raises `Internal`."""
    _forward("ipv4/ip_forward")


def forward_ipv6() -> None:
    """The same for IPv6. A machine that forwards does not listen to routers by itself: those that it listened to, it goes on to.

    Raises `Internal`.
    """
    every = "ipv6/conf/all/forwarding"
    if (_ROOT / every).read_text().strip() != "1":
        for folder in sorted((_ROOT / "ipv6/conf").iterdir()):
            if folder.name != "all" and (folder / "accept_ra").read_text().strip() == "1":
                set_value(f"ipv6/conf/{folder.name}/accept_ra", "2")
    _forward(every)


def _forward(name: str) -> None:
    if (_ROOT / name).read_text().strip() != "1":
        _LOG.info("net/%s is set to 1: this machine forwards packets from now on", name)
        set_value(name, "1")


def filter_bridges() -> None:
    """Whether packets within a bridge can be filtered like all others. Raises `Internal` when the kernel lacks what that needs."""
    if not (_ROOT / "bridge").is_dir():
        raise Internal(
            "The kernel's module br_netfilter is not loaded; run `modprobe br_netfilter`, and put it into /etc/modules."
        )
