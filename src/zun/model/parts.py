# SPDX-License-Identifier: Apache-2.0
"""The compound values of a container's specification."""

import msgspec


class RestartPolicy(msgspec.Struct, omit_defaults=True, frozen=True):
    """When the agent starts an ended container again. `max_retries` 0 with on-failure: without bound."""

    name: str = "no"
    max_retries: int = 0


class HealthCheck(msgspec.Struct, omit_defaults=True, frozen=True):
    """A command that tells whether the container is well; times in seconds. 0 means as in Docker: 30 s, 3 retries, 30 s."""

    test: str
    interval: int = 0
    retries: int = 0
    timeout: int = 0


ENGINE_DEFAULT_NETWORK = "bridge"
"""What engines call the network that a container is on when none was asked for."""


class NetRequest(msgspec.Struct, omit_defaults=True, frozen=True):
    """A network asked for, by name or id, with fixed addresses if wished.

    `id` is set once it is known to be a network of the control plane, and then it is that one, whatever else has the name.
    """

    network: str = ""
    port: str = ""
    v4_fixed_ip: str | None = None
    v6_fixed_ip: str | None = None
    id: str = ""


class Mount(msgspec.Struct, omit_defaults=True, frozen=True):
    """A volume (`source` is its name) or an injected file (`file` is its number among the staged ones)."""

    destination: str
    source: str = ""
    file: int | None = None
    read_only: bool = False
