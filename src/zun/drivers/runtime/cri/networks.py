# SPDX-License-Identifier: Apache-2.0
"""The engine's network: the `Networks` part of the port, as far as CNI plugins behind a CRI engine allow.

The engine puts every sandbox on the one network that its CNI configuration names, chooses the address, and can change nothing later.
So there is one network to name, without fixed addresses; attaching and detaching are lacking, and said to be. Where the service plugs
containers in, that configuration names its plugin, and networks are none of this engine's business.
"""

import json
from typing import Any, NoReturn

from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.types import NetworkRequest
from zun.model.errors import Invalid, NotFound, Unavailable, Unsupported
from zun.model.networks import PLUGIN_NAME
from zun.model.records import NetworkInfo

_LOOPBACK = "cni-loopback"


class CriNetworks:
    """Implements `Networks` on a CRI engine. Knows the network that the engine told last."""

    def __init__(self) -> None:
        self._known: tuple[NetworkInfo, ...] = ()
        self.maps_ports = False
        """Whether its plugins see to ports of the machine (the capability `portMappings`)."""

    def learn(self, status: cri.StatusResponse) -> tuple[NetworkInfo, ...]:
        """Take the networks from the engine's account of itself; the first one is where sandboxes go."""
        config = json.loads(status.info.get("cniconfig") or "{}")
        told = [one.get("Config") or {} for one in config.get("Networks") or ()]
        used = [one for one in told if one.get("Name") and one["Name"] != _LOOPBACK][:1]
        self._known = tuple(map(_info, used))
        self.maps_ports = any(_maps_ports(one) for one in used)
        return self._known

    def choose(self, wished: tuple[NetworkRequest, ...]) -> str:
        """The name of the network a container gets. Raises `NotFound` for another one, `Invalid` for what it cannot have."""
        default = self._known[0].name if self._known else ""
        for request in wished:
            if request.network not in {one.name for one in self._known}:
                usable = default or "none, its CNI configuration is empty"
                raise NotFound(f"There is no network {request.network} on this node; it has: {usable}.")
            if request.v4 or request.v6:
                raise Invalid(f"Network {request.network} takes no fixed addresses; leave the address out.")
        if len(wished) > 1:
            raise Invalid("A container of this engine has one network; name one, or none.")
        return default

    @property
    def by_service(self) -> bool:
        """Whether the engine said last that it has the service's plugin plug sandboxes in."""
        return bool(self._known) and self._known[0].driver == PLUGIN_NAME

    def require_service(self) -> None:
        """Raises `Unavailable` when it does not: something else would plug in what is to be on networks of the service."""
        if not self.by_service:
            there = f"has {self._known[0].driver or 'another plugin'} do it" if self._known else "has no plugin for it"
            raise Unavailable(
                f"The engine is to have {PLUGIN_NAME} plug this in, but {there}; set bin_dir and conf_dir in section [cni] to where its CNI plugins and their configuration are."
            )

    async def attach(self, handle: str, request: NetworkRequest) -> None:  # noqa: ARG002 - as the port has it
        """Lacking."""
        _lacking()

    async def detach(self, handle: str, network: str) -> None:  # noqa: ARG002
        """Lacking."""
        _lacking()


def _lacking() -> NoReturn:
    raise Unsupported("This engine cannot change a container's networks; make the container anew.")


def _maps_ports(config: dict[str, Any]) -> bool:
    return any((plugin.get("capabilities") or {}).get("portMappings") for plugin in _plugins(config))


def _plugins(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(plugin.get("Source") or "{}") for plugin in config.get("Plugins") or ()]


def _info(config: dict[str, Any]) -> NetworkInfo:
    plugins = _plugins(config)
    main = plugins[0] if plugins else {}
    return NetworkInfo(
        id=config["Name"],
        name=config["Name"],
        driver=main.get("type", ""),
        subnets=_subnets(main.get("ipam") or {}),
        fixed_addresses=False,
    )


def _subnets(ipam: dict[str, Any]) -> list[str]:
    found = [ipam["subnet"]] if ipam.get("subnet") else []
    for several in ipam.get("ranges") or ():
        found += [one["subnet"] for one in several if one.get("subnet")]
    return found
