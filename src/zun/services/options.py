# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about containers (section `[containers]`) and quotas (section `[quota]`)."""

from typing import Annotated, Literal

import msgspec

from zun.model.port_ranges import PortRanges, parse_ports
from zun.model.records import Limits

Meta = msgspec.Meta


class ContainerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What containers may ask for, what they get when they do not ask, and how long their history is kept."""

    minimum_cpu: Annotated[float, Meta(description="the fewest cores a container may ask for", ge=0.001)] = 0.1
    maximum_cpu: Annotated[float, Meta(description="the most cores a container may ask for", ge=0.001)] = 16.0
    default_cpu: Annotated[float, Meta(description="cores of a container that does not ask", ge=0.001)] = 1.0
    minimum_memory: Annotated[int, Meta(description="the least memory a container may ask for, in MiB", ge=4)] = 4
    maximum_memory: Annotated[int, Meta(description="the most memory a container may ask for, in MiB", ge=4)] = 8192
    default_memory: Annotated[int, Meta(description="memory of a container that does not ask, in MiB", ge=4)] = 512
    minimum_disk: Annotated[int, Meta(description="the smallest disk a container may ask for, in GiB", ge=1)] = 1
    maximum_disk: Annotated[int, Meta(description="the largest disk a container may ask for, in GiB", ge=1)] = 160
    default_disk: Annotated[
        int, Meta(description="disk of a container that does not ask, in GiB; 0: as much as its node gives", ge=0)
    ] = 0
    unique_name_scope: Annotated[
        Literal["", "project", "global"],
        Meta(
            description="within what container names are unique: nothing (empty), a project, or the whole cloud (global)"
        ),
    ] = ""
    default_network: Annotated[
        str, Meta(description="network of containers that name none; empty: the engine's own default network")
    ] = ""
    published_ports: Annotated[
        str,
        Meta(
            description="ports of their hosts that containers may publish, like 1024-2000,8080; empty: none. Programs of the hosts use others "
            "when they connect somewhere (net.ipv4.ip_local_port_range)"
        ),
    ] = "1024-32767"
    reserved_ports: Annotated[
        str,
        Meta(
            description="of these, the ones that no container gets, because the hosts serve something there: those of etcd, the API and the gate, and what else you run"
        ),
    ] = "2379-2380,9517-9519"
    history_retention_seconds: Annotated[
        int, Meta(description="how long the action history of a deleted container is kept, in seconds", ge=0)
    ] = 86_400
    history_actions: Annotated[
        int,
        Meta(description="actions kept of a living container; the oldest finished ones are dropped", ge=16, le=1000),
    ] = 100
    update_timeout_seconds: Annotated[
        float, Meta(description="how long an update waits for the container's node, in seconds", ge=1.0)
    ] = 30.0

    def __post_init__(self) -> None:
        """Raises `ValueError` when a default, or a minimum, lies beyond its bounds, and for ports that are none."""
        self.open_ports()
        self.closed_ports()
        for what in ("cpu", "memory", "disk"):
            least, most, usual = (getattr(self, f"{word}_{what}") for word in ("minimum", "maximum", "default"))
            if least > most:
                raise ValueError(f"minimum_{what} ({least:g}) is more than maximum_{what} ({most:g})")
            if usual and not least <= usual <= most:
                raise ValueError(
                    f"default_{what} ({usual:g}) is not between minimum_{what} ({least:g}) and maximum_{what} ({most:g})"
                )

    def open_ports(self) -> PortRanges:
        """`published_ports`, read."""
        return parse_ports(self.published_ports, "published_ports")

    def closed_ports(self) -> PortRanges:
        """`reserved_ports`, read."""
        return parse_ports(self.reserved_ports, "reserved_ports")


class QuotaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a project for which nobody set others; -1 is unlimited."""

    containers: Annotated[int, Meta(description="containers", ge=-1)] = 40
    memory: Annotated[int, Meta(description="memory of all containers, in MiB", ge=-1)] = 51_200
    cpu: Annotated[int, Meta(description="cores of all containers", ge=-1)] = 20
    disk: Annotated[int, Meta(description="disk of all containers, in GiB", ge=-1)] = 100

    def limits(self) -> Limits:
        """The same as limits."""
        return Limits(containers=self.containers, cpu=self.cpu, memory=self.memory, disk=self.disk)
