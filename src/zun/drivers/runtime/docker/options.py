# SPDX-License-Identifier: Apache-2.0
"""What an operator may set for the Docker runtime."""

from enum import StrEnum
from typing import Annotated

import msgspec

Meta = msgspec.Meta


class Swap(StrEnum):
    """What a container with a memory limit may use beyond it."""

    NONE = "none"
    UNLIMITED = "unlimited"


class DockerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one Docker engine. Times in seconds."""

    url: Annotated[
        str,
        Meta(
            description="unix:///path or tcp://host:port; empty: the environment's DOCKER_HOST, else unix:///var/run/docker.sock."
        ),
    ] = ""

    tls_ca: Annotated[str, Meta(description="File with the certificate authority of a tcp engine; empty: no TLS.")] = ""

    tls_cert: Annotated[str, Meta(description="File with our certificate for a tcp engine.")] = ""

    tls_key: Annotated[str, Meta(description="File with our key for a tcp engine.")] = ""

    connect_seconds: Annotated[float, Meta(description="How long the engine may take to accept a connection.")] = 5.0

    call_seconds: Annotated[
        float,
        Meta(description="How long an ordinary call may take; a busy engine needs seconds for a start."),
    ] = 60.0

    commit_seconds: Annotated[
        float,
        Meta(description="How long writing an image of a container's file system may take."),
    ] = 900.0

    idle_seconds: Annotated[
        float,
        Meta(description="How long a pull or an archive may stand still before it is given up."),
    ] = 300.0

    default_runtime: Annotated[
        str,
        Meta(description="Runtime of containers that ask for none; empty: the engine's own default."),
    ] = ""

    sandbox_image: Annotated[
        str,
        Meta(
            description="Image of what holds the network of containers that the service plugs in, or a capsule's containers together; any that does nothing until it is stopped. Without it there are no capsules."
        ),
    ] = "zun.local/pause:1"

    sandboxed_capsules: Annotated[
        bool,
        Meta(
            description="Whether all sandboxed runtimes of the engine let containers share a network, as gVisor does with --network=host alone. "
            "Otherwise projects that must be in a sandbox have no capsules here."
        ),
    ] = False

    swap: Annotated[Swap, Meta(description="Whether containers with a memory limit may swap.")] = Swap.NONE

    most_processes: Annotated[
        int,
        Meta(description="How many processes a container may have, lest one use up the machine's; 0: no bound.", ge=0),
    ] = 4096

    log_mib: Annotated[
        int,
        Meta(
            description="The engine keeps at most this much of a container's log, in two files; 0: the engine's own setting, whose usual log driver loses bytes that are no text."
        ),
    ] = 64

    def __post_init__(self) -> None:
        """Raises `ValueError` when only a part of what TLS needs is given."""
        if self.tls_cert and not self.tls_ca:
            raise ValueError("tls_cert is given without tls_ca, which turns TLS on")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key belong together; one of them is missing")
