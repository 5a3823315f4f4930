# SPDX-License-Identifier: Apache-2.0
"""The engine's networks: the `Networks` part of the port, and the guard that keeps containers off the host's own."""

from typing import Any
from urllib.parse import quote

from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.docker.request import check_network, endpoint
from zun.drivers.runtime.types import NetworkRequest
from zun.model.errors import Invalid, NotFound
from zun.model.records import NetworkInfo

_UNUSABLE_DRIVERS = frozenset({"host", "null"})
_DEFAULT_NETWORK = "bridge"


class DockerNetworks:
    """Implements `Networks` on a Docker engine. Keeps the last list, so that checking a known name costs no round trip."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, NetworkInfo] = {}

    async def list(self) -> tuple[NetworkInfo, ...]:
        """The networks that containers may use."""
        told = await self._engine.call("GET", "networks", "list the networks")
        found = tuple(_info(one) for one in told if one["Driver"] not in _UNUSABLE_DRIVERS and not one.get("Ingress"))
        self._known = {network.name: network for network in found} | {network.id: network for network in found}
        return found

    async def check(self, request: NetworkRequest) -> None:
        """Whether a container may use this network so. Raises `Invalid`, `NotFound`."""
        check_network(request.network)
        if request.network not in self._known:
            await self.list()
        network = self._known.get(request.network)
        if network is None:
            usable = ", ".join(sorted({known.name for known in self._known.values()}))
            raise NotFound(f"There is no network {request.network} on this node; choose one of: {usable}.")
        if (request.v4 or request.v6) and not network.fixed_addresses:
            raise Invalid(
                f"Network {network.name} takes no fixed addresses; leave the address out or use a network with a subnet of its own."
            )

    async def attach(self, handle: str, request: NetworkRequest) -> None:
        """Plug a container in."""
        await self.check(request)
        await self._engine.call(
            "POST",
            f"networks/{quote(request.network, safe='')}/connect",
            f"attach the container to network {request.network}",
            body={"Container": handle, "EndpointConfig": endpoint(request)},
        )

    async def detach(self, handle: str, network: str) -> None:
        """Unplug it."""
        check_network(network)
        await self._engine.call(
            "POST",
            f"networks/{quote(network, safe='')}/disconnect",
            f"detach the container from network {network}",
            body={"Container": handle, "Force": False},
        )


def _info(told: dict[str, Any]) -> NetworkInfo:
    subnets = [one["Subnet"] for one in (told.get("IPAM") or {}).get("Config") or [] if one.get("Subnet")]
    return NetworkInfo(
        id=told["Id"],
        name=told["Name"],
        driver=told["Driver"],
        subnets=subnets,
        fixed_addresses=bool(subnets) and told["Name"] != _DEFAULT_NETWORK,
    )
