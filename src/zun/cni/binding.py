# SPDX-License-Identifier: Apache-2.0
"""One sandbox's interfaces in the kernel: made, repaired, looked at, removed. Plain functions that block, for a thread of their own.

Each interface is a pair of links: one end, named after the engine's id, in the network's bridge on the machine; the other in the
sandbox, with its name, MAC, addresses and routes. What is half made is made anew, so everything here may be repeated.
"""

import errno
import time
from collections.abc import Iterable, Sequence

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from zun.cni import messages, sysctls
from zun.cni.bridges import remove
from zun.cni.conntrack import forget_addresses, forget_ports
from zun.cni.edge import kernel
from zun.cni.journal import Bound
from zun.cni.links import link_index, link_names
from zun.cni.names import LINK_PREFIX, bridge_name, link_mac, link_name
from zun.cni.namespaces import identity, inside, opened
from zun.cni.netlink import Netlink
from zun.cni.results import default_gateways
from zun.model.attachments import Attachment, Route
from zun.model.errors import Conflict, Internal, NotFound

_LOOPBACK_INDEX = 1
_GETADDR = 22


def make(bound: Bound, attachments: Sequence[Attachment], deadline: float) -> None:
    """Make these interfaces of a sandbox; their bridges are there. Without any, its default routes are put right. Raises `NotFound`, `Invalid`, `Conflict`, `Internal`, `Timeout`."""
    with opened(bound.netns) as namespace:
        if identity(namespace) != bound.namespace:
            raise NotFound(f"{bound.netns} is the namespace of another sandbox by now; this one has ended.")
        with Netlink(deadline) as host:
            for attachment in attachments:
                _make_pair(host, bound, attachment, namespace)
        inside(namespace, lambda: _configure(bound, attachments, deadline), max(0.1, deadline - time.monotonic()))
    forget_ports(attachments, deadline)


def unmake(container_id: str, ifnames: Iterable[str], deadline: float) -> None:
    """These interfaces are gone; absent is no error. Raises `Internal`, `Timeout`."""
    remove([link_name(container_id, ifname) for ifname in ifnames], deadline)


def unmake_all(container_id: str, attachments: Sequence[Attachment], deadline: float) -> None:
    """The same, and connections of their addresses are forgotten."""
    unmake(container_id, {one.ifname for one in attachments}, deadline)
    forget_addresses(attachments, deadline)


def repair(bound: Bound, deadline: float) -> list[str]:
    """Make what somebody removed, and put back into its bridge what is outside; the names of interfaces that needed it."""
    lost, strayed = [], []
    with Netlink(deadline) as host, kernel("show the links of a sandbox"):
        for attachment in bound.sandbox.attachments:
            link = host.link(link_name(bound.container_id, attachment.ifname))
            master = link_index(bridge_name(attachment.network))
            if link is None:
                lost.append(attachment)
            elif master and link.get_attr("IFLA_MASTER") != master:
                strayed.append(attachment)
                _put_into_bridge(host, bound, attachment, master)
    if lost:
        make(bound, lost, deadline)
    return [attachment.ifname for attachment in (*lost, *strayed)]


def remove_strays(known: Iterable[Bound], deadline: float) -> None:
    """Remove links of ours that belong to no known sandbox: what a killed daemon made last. Raises `Internal`, `Timeout`."""
    kept = {link_name(bound.container_id, one.ifname) for bound in known for one in bound.sandbox.attachments}
    remove([name for name in link_names() if name.startswith(LINK_PREFIX) and name not in kept], deadline)


def is_alive(bound: Bound) -> bool:
    """Whether its namespace is still there, and still its own."""
    try:
        with opened(bound.netns) as namespace:
            return identity(namespace) == bound.namespace
    except NotFound:
        return False


def problems(bound: Bound, deadline: float) -> list[str]:
    """In what the kernel differs from what was bound, in words; empty when all is well. Raises `NotFound`, `Internal`, `Timeout`."""
    found = []
    with Netlink(deadline) as host, kernel("show the links of a sandbox"):
        for attachment in bound.sandbox.attachments:
            name, master = (
                link_name(bound.container_id, attachment.ifname),
                link_index(bridge_name(attachment.network)),
            )
            link = host.link(name)
            if link is None:
                found.append(f"{name}, the machine's end of {attachment.ifname}, is gone")
            elif not master or link.get_attr("IFLA_MASTER") != master:
                found.append(
                    f"{name}, the machine's end of {attachment.ifname}, is not in {bridge_name(attachment.network)}"
                )
            elif not link["flags"] & messages.UP:
                found.append(f"{name}, the machine's end of {attachment.ifname}, is down")
    with opened(bound.netns) as namespace:
        left = max(0.1, deadline - time.monotonic())
        return found + inside(namespace, lambda: _problems_inside(bound, deadline), left)


def _make_pair(host: Netlink, bound: Bound, attachment: Attachment, namespace: int) -> None:
    name, network = link_name(bound.container_id, attachment.ifname), attachment.network
    with kernel(f"make {attachment.ifname} of sandbox {bound.key}"):
        if link_index(name):
            host.change(*messages.remove_link(name))
        master = link_index(bridge_name(network))
        if not master:
            raise Internal(f"Bridge {bridge_name(network)} of network {network} was removed meanwhile; try again.")
        try:
            host.change(
                *messages.pair(
                    name,
                    link_mac(bound.container_id, attachment.ifname),
                    attachment.mtu,
                    master=master,
                    peer=attachment.ifname,
                    peer_mac=attachment.mac,
                    namespace=namespace,
                )
            )
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            raise Conflict(
                f"Sandbox {bound.key} has an interface {attachment.ifname} that zun-cni did not make; let nothing else plug it in."
            ) from error
        if sysctls.has_ipv6():  # the machine is reached at the bridge only
            sysctls.set_value(f"ipv6/conf/{name}/disable_ipv6", "1")
        _put_into_bridge(host, bound, attachment, master)


def _put_into_bridge(host: Netlink, bound: Bound, attachment: Attachment, master: int) -> None:
    name = link_name(bound.container_id, attachment.ifname)
    reflected = [messages.reflect(name)] if attachment.published else []
    host.change_all([messages.up_by_name(name, master), *reflected])


def _configure(bound: Bound, attachments: Sequence[Attachment], deadline: float) -> None:
    """Inside: settings, addresses, routes of new interfaces, and the default routes of the whole sandbox."""
    with Netlink(deadline) as own, kernel(f"set up the interfaces of sandbox {bound.key}"):
        indices = {one.ifname: link_index(one.ifname) for one in bound.sandbox.attachments}
        changes = [messages.up(_LOOPBACK_INDEX)]
        for attachment in attachments:
            index = indices[attachment.ifname]
            if not index:
                raise NotFound(
                    f"{attachment.ifname} of sandbox {bound.key} went while it was set up; its sandbox has ended."
                )
            v6 = any(address.version == 6 for address in attachment.addresses)
            _settings_inside(attachment.ifname, v6=v6)
            changes.append(messages.up(index))
            if v6:
                changes.append(messages.link_local(index, attachment.mac))
            changes += [messages.address(index, address.addr, address.prefix) for address in attachment.addresses]
            changes += [messages.route(index, route) for route in attachment.routes]
        own.change_all([*changes, *_default_routes(bound, indices)])


def _default_routes(bound: Bound, indices: dict[str, int]) -> list[messages.Change]:
    there = [attachment for attachment in bound.sandbox.attachments if indices[attachment.ifname]]
    changes = []
    for gateway in default_gateways([address for one in there for address in one.addresses]):
        through = next(one for one in there if any(address.gateway == gateway for address in one.addresses))
        destination = "::/0" if ":" in gateway else "0.0.0.0/0"
        changes.append(messages.route(indices[through.ifname], Route(destination, gateway)))
    return changes


def _settings_inside(ifname: str, *, v6: bool) -> None:
    """Nothing on the network tells the sandbox its addresses or routes, and none is doubted: all were allocated."""
    if not sysctls.has_ipv6():
        if v6:
            raise Internal(
                f"{ifname} is to have an IPv6 address, which the kernel cannot give; leave such networks out on this node."
            )
        return
    folder = f"ipv6/conf/{ifname}"
    if v6:
        sysctls.set_value(f"{folder}/disable_ipv6", "0")
        sysctls.set_value(f"{folder}/addr_gen_mode", "1")
        sysctls.set_value(f"{folder}/accept_dad", "0")
        sysctls.set_value(f"{folder}/accept_ra", "0")
    else:
        sysctls.set_value(f"{folder}/disable_ipv6", "1")


def _problems_inside(bound: Bound, deadline: float) -> list[str]:
    found = []
    with Netlink(deadline) as own, kernel(f"show the interfaces of sandbox {bound.key}"):
        held = {(one["index"], one.get_attr("IFA_ADDRESS")) for one in own.all_of(_GETADDR, ifaddrmsg())}
        for attachment in bound.sandbox.attachments:
            link = own.link(attachment.ifname)
            if link is None:
                found.append(f"{attachment.ifname} is gone from the sandbox")
                continue
            if link.get_attr("IFLA_ADDRESS") != attachment.mac:
                found.append(
                    f"{attachment.ifname} has the MAC {link.get_attr('IFLA_ADDRESS')} instead of {attachment.mac}"
                )
            if not link["flags"] & messages.UP:
                found.append(f"{attachment.ifname} is down in the sandbox")
            lost = [one.addr for one in attachment.addresses if (link["index"], one.addr) not in held]
            found += [f"{attachment.ifname} has lost the address {addr}" for addr in lost]
    return found
