# SPDX-License-Identifier: Apache-2.0
"""What an operator may set for the Docker runtime."""

from enum import StrEnum

import msgspec


class Swap(StrEnum):
    """What a container with a memory limit may use beyond it."""

    NONE = "none"
    UNLIMITED = "unlimited"


class DockerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one Docker engine. Times in seconds."""

    url: str = ""
    """`unix:///path` or `tcp://host:port`; empty: the environment's DOCKER_HOST, else unix:///var/run/docker.sock."""

    tls_ca: str = ""
    """File with the certificate authority of a tcp engine; empty: no TLS."""

    tls_cert: str = ""
    """File with our certificate for a tcp engine."""

    tls_key: str = ""
    """File with our key for a tcp engine."""

    connect_seconds: float = 5.0
    """How long the engine may take to accept a connection."""

    call_seconds: float = 60.0
    """How long an ordinary call may take; a busy engine needs seconds for a start."""

    commit_seconds: float = 900.0
    """How long writing an image of a container's file system may take."""

    idle_seconds: float = 300.0
    """How long a pull or an archive may stand still before it is given up."""

    default_runtime: str = ""
    """Runtime of containers that ask for none; empty: the engine's own default."""

    swap: Swap = Swap.NONE
    """Whether containers with a memory limit may swap."""

    log_mib: int = 64
    """The engine keeps at most this much of a container's log, in two files; 0: the engine's own setting, whose usual
    log driver loses bytes that are no text."""
