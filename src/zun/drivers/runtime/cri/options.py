# SPDX-License-Identifier: Apache-2.0
"""What an operator may set for the CRI runtime."""

from enum import StrEnum
from typing import Annotated

import msgspec

Meta = msgspec.Meta


class Swap(StrEnum):
    """What a container with a memory limit may use beyond it."""

    NONE = "none"
    UNLIMITED = "unlimited"


class CriOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one engine that speaks the Container Runtime Interface. Times in seconds."""

    endpoint: Annotated[str, Meta(description="Socket of the engine, as unix:///path.")] = (
        "unix:///run/containerd/containerd.sock"
    )

    image_endpoint: Annotated[
        str, Meta(description="Socket of the image service, where it is another one; empty: the same.")
    ] = ""

    log_dir: Annotated[
        str, Meta(description="Where the containers' logs are kept; empty: cri/logs below the state directory.")
    ] = ""

    volume_dir: Annotated[
        str, Meta(description="Where named volumes are kept; empty: cri/volumes below the state directory.")
    ] = ""

    default_runtime: Annotated[
        str, Meta(description="Runtime handler of containers that ask for none; empty: the engine's own default.")
    ] = ""

    cgroup_parent: Annotated[
        str,
        Meta(
            description="Control group that all containers lie in; with the systemd driver a slice, like zun.slice. Empty: the engine's own."
        ),
    ] = "/zun"

    dns_servers: Annotated[
        str,
        Meta(description="Name servers of containers, separated by commas; empty: those of the machine."),
    ] = ""

    swap: Annotated[Swap, Meta(description="Whether containers with a memory limit may swap.")] = Swap.NONE

    most_processes: Annotated[
        int,
        Meta(description="How many processes a container may have, lest one use up the machine's; 0: no bound.", ge=0),
    ] = 4096

    log_mib: Annotated[
        int,
        Meta(description="At most about this much of a container's log is kept, in two files; 0: no bound.", ge=0),
    ] = 64

    call_seconds: Annotated[
        float,
        Meta(description="How long an ordinary call may take; a busy engine needs seconds for a sandbox.", gt=0),
    ] = 60.0

    idle_seconds: Annotated[
        float,
        Meta(description="How long an archive may stand still before it is given up.", gt=0),
    ] = 300.0

    pull_seconds: Annotated[float, Meta(description="How long a pull may take.", gt=0)] = 3600.0

    upkeep_seconds: Annotated[
        float,
        Meta(description="Interval of letting go of idle sandboxes and clearing away what crashes left behind.", gt=0),
    ] = 10.0

    log_look_seconds: Annotated[
        float, Meta(description="Interval of looking whether a log has grown too long.", gt=0)
    ] = 2.0

    idle_sandbox_seconds: Annotated[
        float,
        Meta(
            description="The sandbox (its network and two small processes) of a container that ended is kept so long, so that a restart is quick.",
            ge=0,
        ),
    ] = 60.0
