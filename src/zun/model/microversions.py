# SPDX-License-Identifier: Apache-2.0
"""The versions of the API: which there are, what each one brought, and how they are written.

Fields of requests declare their version in `zun.model.container`, endpoints in `zun.api.routes`; this page is the list that people read.
"""

import re

Microversion = tuple[int, int]

MINIMUM: Microversion = (1, 1)

HISTORY: dict[Microversion, str] = {
    (1, 1): "the first version",
    (1, 2): "nets in a container's creation",
    (1, 3): "auto_remove",
    (1, 4): "hosts",
    (1, 5): "runtime",
    (1, 6): "network_detach",
    (1, 7): "forced deletion is for administrators",
    (1, 8): "network_attach",
    (1, 9): "hostname",
    (1, 10): "deletion is asynchronous",
    (1, 11): "mounts",
    (1, 12): "stop before deletion",
    (1, 13): "network_list",
    (1, 14): "rename gives way to PATCH",
    (1, 15): "security groups are no longer added or removed",
    (1, 16): "a capsule's restartPolicy lies in its spec",
    (1, 17): "port of network_detach",
    (1, 18): "network_list groups fixed addresses",
    (1, 19): "resize_container",
    (1, 20): "command is a list; security_groups and exposed_ports exclude each other",
    (1, 21): "privileged",
    (1, 22): "healthcheck",
    (1, 23): "mounts have a type; files can be injected",
    (1, 24): "exposed_ports",
    (1, 25): "archives are base64",
    (1, 26): "quotas",
    (1, 27): "networks can be deleted",
    (1, 28): "cpu_policy",
    (1, 29): "enable_cpu_pinning in hosts",
    (1, 30): "registries",
    (1, 31): "registry of a container",
    (1, 32): "new names in capsules; their deletion is asynchronous",
    (1, 33): "finish_time of actions",
    (1, 34): "init_containers of capsules",
    (1, 35): "ports of capsule containers",
    (1, 36): "tty",
    (1, 37): "stdin and tty of capsule containers",
    (1, 38): "annotations of capsules",
    (1, 39): "host",
    (1, 40): "entrypoint",
}

MAXIMUM: Microversion = max(HISTORY)

_NUMBER = re.compile(r"(\d{1,4})\.(\d{1,4})")


def text(version: Microversion) -> str:
    """How a version is written: `1.40`."""
    return f"{version[0]}.{version[1]}"


def parse(written: str) -> Microversion | None:
    """The version that `1.20` or `latest` (in any case) names, whether it is in range or not; None when it is neither."""
    if written.lower() == "latest":
        return MAXIMUM
    match = _NUMBER.fullmatch(written)
    return (int(match[1]), int(match[2])) if match else None


def supported(version: Microversion) -> bool:
    """Whether this service speaks the version."""
    return MINIMUM <= version <= MAXIMUM
