# SPDX-License-Identifier: Apache-2.0
"""The bridge of a network on this machine: made when the first sandbox needs it, with the gateways of its subnets as addresses."""

import errno
from collections.abc import Iterable

import msgspec

from zun.cni import messages, sysctls
from zun.cni.edge import kernel
from zun.cni.names import bridge_mac, bridge_name
from zun.cni.netlink import Netlink
from zun.model.attachments import Attachment
from zun.model.errors import Conflict


class Bridge(msgspec.Struct, frozen=True):
    """What a bridge has to be. `gateways` as address and prefix length."""

    network: str
    mtu: int
    gateways: frozenset[tuple[str, int]]

    @property
    def name(self) -> str:
        """Of its link."""
        return bridge_name(self.network)


def bridge_of(attachment: Attachment) -> Bridge:
    """The bridge that an attachment needs."""
    gateways = ((address.gateway, address.prefix) for address in attachment.addresses if address.gateway)
    return Bridge(attachment.network, attachment.mtu, frozenset(gateways))


def ensure(wanted: Bridge, deadline: float) -> None:
    """The bridge is there, up, with these gateways; others that it has stay. Raises `Conflict`, `Internal`, `Timeout`."""
    with Netlink(deadline) as host, kernel(f"make bridge {wanted.name} of network {wanted.network}"):
        found = host.link(wanted.name)
        if found is None:
            try:
                host.change(*messages.bridge(wanted.name, bridge_mac(wanted.network), wanted.mtu))
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
            found = host.link(wanted.name)
        if found is None or found.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "bridge":
            raise Conflict(f"An interface {wanted.name} is in the way of network {wanted.network}; remove it.")
        _settings(wanted)
        index = found["index"]
        addresses = [messages.address(index, addr, prefix) for addr, prefix in sorted(wanted.gateways)]
        host.change_all([messages.up(index), *addresses])


def remove(names: Iterable[str], deadline: float) -> None:
    """These links are gone; absent is no error. Raises `Internal`, `Timeout`."""
    with Netlink(deadline) as host:
        for name in names:
            with kernel(f"remove {name}"):
                try:
                    host.change(*messages.remove_link(name))
                except OSError as error:
                    if error.errno != errno.ENODEV:
                        raise


def _settings(wanted: Bridge) -> None:
    """IPv6 where it has a gateway. Packets from 127.0.0.1 may leave to it, which published ports need; the filter lets none come back in."""
    v6 = any(":" in addr for addr, _ in wanted.gateways)
    sysctls.set_value(f"ipv4/conf/{wanted.name}/route_localnet", "1")
    if sysctls.has_ipv6():
        folder = f"ipv6/conf/{wanted.name}"
        sysctls.set_value(f"{folder}/accept_ra", "0")
        sysctls.set_value(f"{folder}/accept_dad", "0")
        sysctls.set_value(f"{folder}/disable_ipv6", "0" if v6 else "1")
    if any(":" not in addr for addr, _ in wanted.gateways):
        sysctls.forward_ipv4()
    if v6:
        sysctls.forward_ipv6()
