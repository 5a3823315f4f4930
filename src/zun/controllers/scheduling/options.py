# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about placing containers."""

from typing import Annotated, Literal

import msgspec

from zun.model.port_ranges import PortRanges, parse_ports


class SchedulerOptions(msgspec.Struct, frozen=True):
    """How containers are placed on nodes."""

    weigher: Annotated[
        Literal["spread", "pack"],
        msgspec.Meta(
            description="Which node is best: 'spread' keeps all equally free, 'pack' fills one after the other."
        ),
    ] = "spread"
    tenant_isolation: Annotated[
        Literal["none", "sandboxed", "exclusive"],
        msgspec.Meta(
            description="Whose containers may share a node. 'none': anybody's; 'sandboxed': those of different projects where each of them runs under one of "
            "[controller] sandboxed_runtimes; 'exclusive': those of one project only. What is placed already stays where it is."
        ),
    ] = "none"
    sample_size: Annotated[
        int,
        msgspec.Meta(
            description="In large clusters the best of this many suitable nodes is taken; more is fairer and slower.",
            ge=1,
            le=10_000,
        ),
    ] = 16
    sample_above: Annotated[
        int, msgspec.Meta(description="Up to this many nodes all of them are compared each time.", ge=1, le=100_000)
    ] = 100
    node_grace_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How long after the start a container waits when no node has ever been up, before it is refused.",
            ge=0,
            le=3600,
        ),
    ] = 5.0
    chosen_ports: Annotated[
        str,
        msgspec.Meta(
            description="Ports of nodes from which one is chosen for a container that publishes a port and names none of the node, "
            "like 20000-29999. Keep out of net.ipv4.ip_local_port_range of the nodes."
        ),
    ] = "20000-29999"

    def __post_init__(self) -> None:
        """Raises `ValueError` for ports that are none."""
        self.ports()

    def ports(self) -> PortRanges:
        """`chosen_ports`, read."""
        return parse_ports(self.chosen_ports, "chosen_ports")
