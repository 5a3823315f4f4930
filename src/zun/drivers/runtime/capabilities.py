# SPDX-License-Identifier: Apache-2.0
"""docs/capabilities.md, made from what the drivers declare: `python -m zun.drivers.runtime.capabilities > docs/capabilities.md`."""

import sys

from zun.drivers.runtime.cri.fingerprint import CAPABILITIES as OF_CRI
from zun.drivers.runtime.cri.fingerprint import CONDITIONAL as CONDITIONAL_OF_CRI
from zun.drivers.runtime.docker.fingerprint import CONDITIONAL
from zun.drivers.runtime.types import Capability

_HEAD = """# What engines can do

All run containers with their whole life, environment, files, limits, logs, archives, `top` and `stats`. Beyond that each node reports what its engine, or its agent in place of the engine, can do: a container is placed where its wishes can be met, and a request that its
engine cannot carry out is refused (4xx) before anything happens. The fake engine can do everything.

| capability | what it is for | docker | cri (containerd) |
| --- | --- | --- | --- |
"""

_MEANING = {
    Capability.COMMIT: "making an image of a container (`commit`)",
    Capability.DISK_QUOTA: "a limit of disk space (`disk`)",
    Capability.EXEC: "running commands in a container (`exec`)",
    Capability.ATTACH: "talking to a container's own process (`attach`)",
    Capability.HEALTH: "health checks (`healthcheck`); probes of capsules are the agent's on every engine",
    Capability.LIVE_RESIZE: "changing limits of a running container (`update`)",
    Capability.NETWORKS: "networks by name, several of them, fixed addresses, attaching and detaching",
    Capability.PAUSE: "freezing and thawing (`pause`, `unpause`)",
    Capability.PRIVILEGED: "privileged containers, where the policy lets somebody have them",
    Capability.VOLUMES: "named volumes",
    Capability.CPUSET: "cpus of one's own (`cpu_policy: dedicated`)",
    Capability.PUBLISH: "ports of the machine that lead to a container (`published_ports`), unless `[network] publish_address` is empty",
    Capability.CAPSULES: "groups of containers that share an address (`capsule`)",
    Capability.PORT_FORWARD: "connections to ports that are not published (`port-forward`); not to containers in gVisor",
    Capability.SANDBOXED_CAPSULES: "the same in a sandboxed runtime, for the projects that must be in one (`sandboxed_projects`)",
    Capability.CHANGE_IMAGE: "another image for a container that is there (`rebuild`)",
}


_BY_AGENT = frozenset({Capability.HEALTH})
"""What the agent does, by running commands, where the engine does not."""

_BY_SERVICE = {Capability.NETWORKS: "where the service plugs in: `[network] driver = cni`"}
"""What nodes with a CRI engine offer although the engine does not have it."""


def table() -> str:
    """The page."""
    rows = [
        f"| {capability} | {_MEANING[capability]} | {CONDITIONAL.get(capability, 'yes')} | {_of_cri(capability)} |"
        for capability in sorted(Capability)
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _of_cri(capability: Capability) -> str:
    if capability in OF_CRI:
        return CONDITIONAL_OF_CRI.get(capability, "yes")
    if capability in _BY_AGENT and Capability.EXEC in OF_CRI:
        return "by the agent"
    return _BY_SERVICE.get(capability, "no")


if __name__ == "__main__":
    sys.stdout.write(table())
