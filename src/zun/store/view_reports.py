# SPDX-License-Identifier: Apache-2.0
"""What nodes tell, looked at before the view takes it in.

A node may be broken or captured. It may say what it likes of its own containers, but its words must not stop those who read them:
lists, metrics and the leader decode every report, and one that cannot be read would end them again and again.
"""

import ipaddress

from zun.model.errors import Internal
from zun.model.records import ImageObservation, NodeInfo, Observation
from zun.store.codec import decode

MAX_REPORT_BYTES = 256 * 1024
"""Every API server holds every report in memory and puts it into lists; honest ones have about one kilobyte."""


def check_report(kind: type[Observation] | type[ImageObservation], uuid: str, raw: bytes) -> None:
    """Raises `Internal` unless `raw` is a readable report about `uuid` of a size that everybody can carry in memory."""
    if len(raw) > MAX_REPORT_BYTES:
        raise Internal(f"A node's report has {len(raw)} bytes; more than {MAX_REPORT_BYTES} are not believed.")
    if decode(kind, raw).uuid != uuid:
        raise Internal("A node's report tells of something else than its key; it is not believed.")


def read_info(node: str, raw: bytes) -> NodeInfo:
    """The node's account of itself. Raises `Internal` for one that cannot be read or used, or that speaks for another node."""
    info = decode(NodeInfo, raw)
    try:
        for network in info.networks:
            for subnet in network.subnets:
                ipaddress.ip_network(subnet, strict=False)
    except ValueError as error:
        raise Internal(f"Node {node} tells of a subnet that is none; its account of itself is not believed.") from error
    if info.node != node:
        raise Internal(f"Node {node} gives itself out as node {info.node[:64]!r}; it is not believed.")
    return info
