# SPDX-License-Identifier: Apache-2.0
"""What two sandboxes of one machine cannot both have, nor a sandbox and a program of the machine. The control plane sees to most of it; the
node does not rely on that.
"""

from collections.abc import Collection, Iterable

from zun.base.listening import is_listening
from zun.cni.journal import Bound
from zun.model.attachments import Attachment, Network, PublishedPort, in_use, overlapping
from zun.model.errors import Conflict


def refuse_conflicts(wanted: Bound, others: Iterable[Bound]) -> None:
    """Raises `Conflict` when an address, a MAC, a published port or a subnet belongs to another sandbox or network."""
    for other in others:
        if other.container_id == wanted.container_id:
            continue
        for mine in wanted.sandbox.attachments:
            for theirs in other.sandbox.attachments:
                _refuse(mine, theirs, other.key)
    own = wanted.sandbox.attachments
    for index, mine in enumerate(own):
        for theirs in own[:index]:
            _refuse(mine, theirs, wanted.key)


def refuse_listeners(fresh: Iterable[Attachment], held: Collection[PublishedPort] = ()) -> None:
    """Raises `Conflict` when a program of the machine listens at a port that is to be published: nothing would reach it any more.

    `held` are ports that are published already; what listens there since hears nothing anyway.
    """
    for one in fresh:
        for port in one.published:
            if port not in held and is_listening(port.protocol, port.host_port, port.host_address):
                raise in_use(port)


def _refuse(mine: Attachment, theirs: Attachment, owner: str) -> None:
    if mine.network == theirs.network:
        shared = {address.addr for address in mine.addresses} & {address.addr for address in theirs.addresses}
        if shared:
            raise Conflict(
                f"Address {min(shared)} on network {mine.network} is in use by sandbox {owner} on this node."
            )
        if mine.mac == theirs.mac:
            raise Conflict(f"MAC {mine.mac} on network {mine.network} is in use by sandbox {owner} on this node.")
    else:
        both = overlapping(_subnets(mine), _subnets(theirs))
        if both is not None:
            raise Conflict(
                f"Subnet {both[0]} of network {mine.network} overlaps {both[1]} of network {theirs.network}, which is in use on this node; "
                "give one of them another subnet."
            )
    for port in mine.published:
        for taken in theirs.published:
            if _same_port(port, taken):
                raise Conflict(
                    f"Port {port.host_port}/{port.protocol} of this node is published by sandbox {owner} already."
                )


def _subnets(attachment: Attachment) -> list[Network]:
    return [address.subnet for address in attachment.addresses]


def _same_port(one: PublishedPort, other: PublishedPort) -> bool:
    if (one.protocol, one.host_port) != (other.protocol, other.host_port):
        return False
    return one.host_address == other.host_address or not one.host_address or not other.host_address
