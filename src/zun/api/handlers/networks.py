# SPDX-License-Identifier: Apache-2.0
"""Networks of the service, and records that map Neutron's: there is no Neutron here, and what needs it says so."""

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.base.timestamps import spaced
from zun.model.container_rules import IP_ADDRESS
from zun.model.errors import Invalid, Unsupported
from zun.model.fields import Field, Unknown
from zun.model.networks import AddressRange, NetworkRecord, Subnet, subnet_of
from zun.model.rules import JSON_BOOLEAN, SCHEMA_VIOLATION, Rule, integer, list_of, text
from zun.policy.enforcer import Policy
from zun.services.networks import NetworkService, NewNetwork

COLLECTION = "networks"
_RANGES = 16


class SubnetForm(msgspec.Struct, frozen=True):
    """A subnet as the request has it; `gateway` None: its first address, "": none."""

    cidr: str
    gateway: str | None = None
    ranges: tuple[AddressRange, ...] = ()


def _subnet(item: Any) -> SubnetForm:
    if not isinstance(item, dict) or set(item) - {"cidr", "gateway", "ranges"} or not isinstance(item.get("cidr"), str):
        raise ValueError("an object with cidr, and gateway and ranges if wished")
    gateway = item.get("gateway")
    ranges = item.get("ranges", [])
    if not isinstance(ranges, list) or len(ranges) > _RANGES:
        raise ValueError(f"ranges is a list of at most {_RANGES}")
    return SubnetForm(
        item["cidr"],
        None if gateway is None else "" if gateway == "" else IP_ADDRESS.read(gateway),
        tuple(_range(one) for one in ranges),
    )


def _range(item: Any) -> AddressRange:
    if not isinstance(item, dict) or set(item) != {"start", "end"}:
        raise ValueError("a range is an object with start and end")
    return AddressRange(IP_ADDRESS.read(item["start"]), IP_ADDRESS.read(item["end"]))


_SUBNETS: Rule[list[SubnetForm]] = list_of(
    Rule(
        _subnet,
        "a subnet: an object with cidr, and gateway and ranges (objects with start and end) if wished",
        {
            "type": "object",
            "required": ["cidr"],
            "additionalProperties": False,
            "properties": {
                "cidr": {"type": "string"},
                "gateway": {"type": ["string", "null"]},
                "ranges": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["start", "end"],
                        "properties": {"start": {"type": "string"}, "end": {"type": "string"}},
                    },
                },
            },
        },
    ),
    2,
)


class NetworkForm(msgspec.Struct, frozen=True, kw_only=True):
    """A network to be made."""

    name: Annotated[str | None, Field(rule=text(2, 255), doc="Its name, unique in the cloud.")] = None
    neutron_net_id: Annotated[
        str | None, Field(rule=text(1, 255), doc="A network of Neutron, which is not configured here.")
    ] = None
    subnets: Annotated[list[SubnetForm], Field(rule=_SUBNETS, doc="Its subnets, at most one of each IP version.")] = []
    mtu: Annotated[int | None, Field(rule=integer(576, 65_535), doc="Largest packet in bytes; 1500 when absent.")] = (
        None
    )
    shared: Annotated[bool, Field(rule=JSON_BOOLEAN, doc="For the containers of every project.")] = False
    project_id: Annotated[
        str | None, Field(rule=text(1, 255), doc="Whose containers may be on it; the caller's project when absent.")
    ] = None


class NetworkHandlers:
    """`/v1/networks`."""

    def __init__(self, networks: NetworkService, policy: Policy) -> None:
        self._networks = networks
        self._policy = policy

    async def list(self, call: Call) -> Response:
        """The networks that the caller's containers may be on."""
        found = await self._networks.list(call.context)
        return responses.json({COLLECTION: [_view(record) for record in found]})

    async def show(self, call: Call) -> Response:
        """One network by name or uuid."""
        return responses.json(_view(await self._networks.show(call.context, call.params["ident"])))

    async def create(self, call: Call) -> Response:
        """Make a network of the service. One of Neutron cannot be added: there is none."""
        self._policy.authorize(call.caller, "network:create")
        form = await call.arguments(NetworkForm, unknown=Unknown.REFUSE)
        if form.neutron_net_id is not None:
            raise Unsupported(
                "Networks of Neutron cannot be added here, since it is not configured; give 'subnets' to make a network of this service."
            )
        if form.name is None or not form.subnets:
            raise Invalid("Give 'name' and 'subnets' to make a network.", code=SCHEMA_VIOLATION)
        new = NewNetwork(
            name=form.name,
            subnets=tuple(subnet_of(one.cidr, one.gateway, one.ranges) for one in form.subnets),
            shared=form.shared,
            project_id=form.project_id,
        )
        if form.mtu is not None:
            new = msgspec.structs.replace(new, mtu=form.mtu)
        return responses.json(_view(await self._networks.create(call.context, new)))

    async def delete(self, call: Call) -> Response:
        """Remove a network that no container is on."""
        await self._networks.delete(call.context, call.params["ident"])
        return responses.no_content()


def _view(record: NetworkRecord) -> dict[str, Any]:
    """The members of the wire contract first; there is no network of Neutron behind it."""
    return {
        "uuid": record.uuid,
        "name": record.name,
        "project_id": record.project_id,
        "user_id": record.user_id,
        "network_id": record.uuid,
        "neutron_net_id": None,
        "shared": record.shared,
        "mtu": record.mtu,
        "subnets": [_subnet_view(subnet) for subnet in record.subnets],
        "created_at": spaced(record.created_at),
    }


def _subnet_view(subnet: Subnet) -> dict[str, Any]:
    ranges = [{"start": one.start, "end": one.end} for one in subnet.ranges]
    return {"cidr": subnet.cidr, "gateway": subnet.gateway or None, "ranges": ranges}
