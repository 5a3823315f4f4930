# SPDX-License-Identifier: Apache-2.0
"""A container as its owner wishes it: the one declaration of its fields.

Types are those after validation (memory in MiB as a number, cpu as cores …). The `Annotated` metadata of each attribute
(`zun.model.fields.Field`) says how a request writes it, since which microversion, who may see it, how the view shows it and which
option of the command line sets it; request validation, views, OpenAPI and command-line options derive from it.
"""

import msgspec


class RestartPolicy(msgspec.Struct, omit_defaults=True, frozen=True):
    """When the agent starts an ended container again. `max_retries` 0 with on-failure: without bound."""

    name: str = "no"
    max_retries: int = 0


class HealthCheck(msgspec.Struct, omit_defaults=True, frozen=True):
    """A command that tells whether the container is well; times in seconds, 0: the engine's default."""

    test: str
    interval: int = 0
    retries: int = 0
    timeout: int = 0


class NetRequest(msgspec.Struct, omit_defaults=True, frozen=True):
    """A network asked for, by name or id, with fixed addresses if wished."""

    network: str = ""
    port: str = ""
    v4_fixed_ip: str | None = None
    v6_fixed_ip: str | None = None


class Mount(msgspec.Struct, omit_defaults=True, frozen=True):
    """A volume (`source` is its name) or an injected file (`file` is its number among the staged ones)."""

    destination: str
    source: str = ""
    file: int | None = None


class ContainerSpec(msgspec.Struct, omit_defaults=True):
    """The 30 fields of a create request, normalised."""

    image: str
    name: str = ""
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    cpu: float = 1.0
    cpu_policy: str = "shared"
    memory: int = 512  # MiB
    disk: int = 0  # GiB, 0: not limited
    workdir: str | None = None
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    hints: dict[str, str] = {}
    interactive: bool = False
    tty: bool = False
    restart_policy: RestartPolicy | None = None
    image_driver: str = "docker"
    image_pull_policy: str | None = None
    security_groups: list[str] = []
    nets: list[NetRequest] = []
    mounts: list[Mount] = []
    runtime: str | None = None
    hostname: str | None = None
    host: str | None = None
    availability_zone: str | None = None
    auto_remove: bool = False
    auto_heal: bool = False
    privileged: bool = False
    healthcheck: HealthCheck | None = None
    exposed_ports: list[str] = []  # "80/tcp"
    registry: str | None = None
