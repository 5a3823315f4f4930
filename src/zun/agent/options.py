# SPDX-License-Identifier: Apache-2.0
"""What an operator can set about a node's agent."""

from typing import Annotated

import msgspec
from msgspec import Meta


class AgentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The node's agent: what it offers, how much it does at once, how it restarts and heals containers."""

    node_name: Annotated[
        str,
        Meta(
            description="The node's name, for good: its containers belong to it. a-z, 0-9, dot, dash. Empty: the host name."
        ),
    ] = ""
    stream_listen: Annotated[
        str,
        Meta(
            description="Where the node serves logs, consoles, ports and archives to API servers, host:port (port 0: any free one). Beyond "
            "this machine it needs a certificate, which joining gives."
        ),
    ] = "127.0.0.1:0"
    stream_address: Annotated[
        str, Meta(description="Where API servers reach that, host:port. Empty: where it listens, as the store sees it.")
    ] = ""
    cpu_allocation_ratio: Annotated[
        float, Meta(description="So many times its cpus a node gives to containers without cpus of their own.", gt=0)
    ] = 16.0
    ram_allocation_ratio: Annotated[
        float, Meta(description="So many times its memory a node gives to containers.", gt=0)
    ] = 1.5
    disk_allocation_ratio: Annotated[
        float, Meta(description="So many times its disk a node gives to containers.", gt=0)
    ] = 1.0
    reserved_host_cpus: Annotated[int, Meta(description="Cpus kept for the machine itself.", ge=0)] = 0
    reserved_host_memory_mib: Annotated[int, Meta(description="MiB of memory kept for the machine itself.", ge=0)] = 512
    reserved_host_disk_gib: Annotated[int, Meta(description="GiB of disk kept for the machine itself.", ge=0)] = 0
    dedicated_cpus: Annotated[
        str, Meta(description='Cpus that containers with the policy "dedicated" get for themselves, like "2-3,6".')
    ] = ""
    parallel_operations: Annotated[
        int, Meta(description="So many engine operations at once; 0: four times the cpus.", ge=0, le=1024)
    ] = 0
    parallel_checks: Annotated[
        int,
        Meta(
            description="So many commands of health checks and probes are begun at once; what hangs takes no place.",
            ge=1,
            le=1024,
        ),
    ] = 8
    parallel_pulls: Annotated[int, Meta(description="So many images are pulled at once.", ge=1, le=64)] = 4
    engine_timeout_seconds: Annotated[
        int, Meta(description="An engine that needs longer for one call is taken to be stuck.", ge=1, le=3600)
    ] = 120
    pull_timeout_seconds: Annotated[int, Meta(description="A pull may take so long.", ge=10, le=86400)] = 3600
    stop_timeout_seconds: Annotated[
        int, Meta(description="Grace of a stop that names none, before the process is killed.", ge=0, le=86400)
    ] = 10
    heartbeat_seconds: Annotated[
        float,
        Meta(description="Interval of heartbeats; a node not heard of for 10 seconds counts as lost.", gt=0, le=4),
    ] = 3.0
    restart_grace_seconds: Annotated[
        int,
        Meta(
            description="An agent that is stopped on purpose announces its return: so long its node counts as alive. 0: it says goodbye.",
            ge=0,
            le=3600,
        ),
    ] = 60
    look_seconds: Annotated[
        float, Meta(description="Interval of looking whether the engine offers something else.", ge=1, le=3600)
    ] = 5.0
    publish_seconds: Annotated[float, Meta(description="Interval of the node's account of itself.", ge=1, le=3600)] = (
        60.0
    )
    sync_seconds: Annotated[
        float, Meta(description="Interval of comparing everything with the engine, beside its events.", ge=1, le=3600)
    ] = 60.0
    restart_delay_seconds: Annotated[
        float, Meta(description="Wait before the first automatic restart; doubles each time.", gt=0, le=60)
    ] = 0.1
    restart_delay_cap_seconds: Annotated[
        float, Meta(description="Longest wait between automatic restarts.", gt=0, le=86400)
    ] = 60.0
    restart_well_seconds: Annotated[
        float, Meta(description="Who ran so long ran well: the next wait is the first one again.", gt=0, le=86400)
    ] = 10.0
    heal_attempts: Annotated[
        int, Meta(description="So often a vanished auto_heal container is made again before giving up.", ge=1, le=1000)
    ] = 5
    heal_delay_seconds: Annotated[
        float, Meta(description="Wait before a vanished container is made again; doubles each time.", gt=0, le=3600)
    ] = 1.0
    heal_delay_cap_seconds: Annotated[
        float, Meta(description="Longest wait before a vanished container is made again.", gt=0, le=86400)
    ] = 60.0
    heal_well_seconds: Annotated[
        float, Meta(description="A healed container that stayed so long counts as healthy again.", gt=0, le=86400)
    ] = 600.0
    auto_remove_linger_seconds: Annotated[
        float,
        Meta(
            description="An ended auto_remove container stays so long, for those who come for its output.",
            ge=0,
            le=3600,
        ),
    ] = 3.0
    exec_sessions: Annotated[int, Meta(description="So many prepared execs are remembered.", ge=1, le=100_000)] = 1000
    exec_idle_seconds: Annotated[
        float, Meta(description="An exec nobody used for so long is forgotten.", ge=1, le=86400)
    ] = 3600.0
    kept_results: Annotated[
        int, Meta(description="So many results of actions are kept for a living container.", ge=16, le=10_000)
    ] = 100

    def __post_init__(self) -> None:
        """Raises `ValueError` when a first wait is longer than the longest one."""
        for what in ("restart", "heal"):
            first, longest = getattr(self, f"{what}_delay_seconds"), getattr(self, f"{what}_delay_cap_seconds")
            if first > longest:
                raise ValueError(
                    f"{what}_delay_seconds ({first:g}) is more than {what}_delay_cap_seconds ({longest:g})"
                )
