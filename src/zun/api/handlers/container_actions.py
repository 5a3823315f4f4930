# SPDX-License-Identifier: Apache-2.0
"""What is asked of a container and done by its node later: 202 now, the outcome in its status and its history."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.rendering import ContainerViewer
from zun.api.requests import Call
from zun.model.container_rules import IMAGE, IMAGE_DRIVER, IP_ADDRESS, NAME, SCALAR, SHORT_TEXT
from zun.model.container_view import addresses_of
from zun.model.creation import parse_update
from zun.model.errors import Conflict, Unsupported
from zun.model.fields import Bounds, Field
from zun.model.records import Verb
from zun.model.rules import integer, or_none_word, text
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.store.view import ContainerEntry

_NO_PORTS = (
    "needs the network service, which is not configured here; name a network of the engine with 'network' instead."
)


class TimeoutForm(msgspec.Struct, frozen=True):
    """Of stop and reboot."""

    timeout: Annotated[
        int | None,
        Field(rule=or_none_word(integer(0, 10**6)), doc="Seconds before it is killed; the engine's own when absent."),
    ] = None


class KillForm(msgspec.Struct, frozen=True):
    """Of kill."""

    signal: Annotated[
        str | None, Field(rule=or_none_word(SCALAR), doc="A signal such as SIGHUP, HUP or 1; SIGKILL when absent.")
    ] = None


class RebuildForm(msgspec.Struct, frozen=True):
    """Of rebuild."""

    image: Annotated[str | None, Field(rule=or_none_word(IMAGE), doc="Another image.")] = None
    image_driver: Annotated[str | None, Field(rule=or_none_word(IMAGE_DRIVER), doc="Where it comes from.")] = None


class CommitForm(msgspec.Struct, frozen=True):
    """Of commit."""

    repository: Annotated[str, Field(rule=text(1, 255), required=True, nullable=False, doc="Name of the new image.")]
    tag: Annotated[str, Field(rule=or_none_word(text(1, 128)), doc="Its tag.")] = "latest"


class AttachNetworkForm(msgspec.Struct, frozen=True):
    """Of network_attach."""

    network: Annotated[str | None, Field(rule=or_none_word(SHORT_TEXT), doc="A network by name or id.")] = None
    port: Annotated[str | None, Field(rule=or_none_word(SHORT_TEXT), doc="A port; needs the network service.")] = None
    fixed_ip: Annotated[str | None, Field(rule=or_none_word(IP_ADDRESS), doc="The address it shall have there.")] = None


class DetachNetworkForm(msgspec.Struct, frozen=True):
    """Of network_detach."""

    network: Annotated[str | None, Field(rule=or_none_word(SHORT_TEXT), doc="A network by name or id.")] = None
    port: Annotated[str | None, Field(rule=or_none_word(SHORT_TEXT), doc="A port; needs the network service.")] = None


class SecurityGroupForm(msgspec.Struct, frozen=True):
    """Of add_security_group and remove_security_group."""

    name: Annotated[str, Field(rule=SHORT_TEXT, required=True, nullable=False, doc="A security group by name or id.")]


class RenameForm(msgspec.Struct, frozen=True):
    """Of rename."""

    name: Annotated[str, Field(rule=NAME, required=True, nullable=False, doc="The new name.")]


class ContainerActionHandlers:
    """`/v1/containers/{ident}/<action>`, where the node acts after the answer."""

    def __init__(self, containers: ContainerService, policy: Policy, viewer: ContainerViewer, bounds: Bounds) -> None:
        self._containers = containers
        self._policy = policy
        self._viewer = viewer
        self._bounds = bounds

    async def start(self, call: Call) -> Response:
        """Start it."""
        return await self._act(call, Verb.START)

    async def stop(self, call: Call) -> Response:
        """Stop it: asked kindly first, killed after the time-out."""
        form = await call.arguments(TimeoutForm)
        return await self._act(call, Verb.STOP, timeout_seconds=form.timeout)

    async def reboot(self, call: Call) -> Response:
        """Stop it and start it again."""
        form = await call.arguments(TimeoutForm)
        return await self._act(call, Verb.REBOOT, timeout_seconds=form.timeout)

    async def pause(self, call: Call) -> Response:
        """Freeze its processes."""
        return await self._act(call, Verb.PAUSE)

    async def unpause(self, call: Call) -> Response:
        """Let them go on."""
        return await self._act(call, Verb.UNPAUSE)

    async def kill(self, call: Call) -> Response:
        """Send its first process a signal."""
        form = await call.arguments(KillForm)
        return await self._act(call, Verb.KILL, signal=form.signal)

    async def rebuild(self, call: Call) -> Response:
        """Make it anew, from another image if wished; name, addresses and volumes stay."""
        form = await call.arguments(RebuildForm)
        return await self._act(call, Verb.REBUILD, image=form.image, image_driver=form.image_driver)

    async def commit(self, call: Call) -> Response:
        """Make an image of it."""
        form = await call.arguments(CommitForm)
        uuid = await self._containers.commit(
            call.context, await self._find(call), form.repository, form.tag or "latest"
        )
        return responses.json({"uuid": uuid}, 202)

    async def network_attach(self, call: Call) -> Response:
        """Join a network; 200 although it happens later, as clients expect."""
        form = await call.arguments(AttachNetworkForm)
        await self._act(call, Verb.NETWORK_ATTACH, network=form.network, port=form.port, fixed_ip=form.fixed_ip)
        return responses.null()

    async def network_detach(self, call: Call) -> Response:
        """Leave a network."""
        form = await call.arguments(DetachNetworkForm)
        return await self._act(call, Verb.NETWORK_DETACH, network=form.network, port=form.port)

    async def network_list(self, call: Call) -> Response:
        """The networks it is on."""
        entry = await self._find(call)
        self._policy.authorize(call.caller, "container:get_one", project_id=entry.project_id)
        shot = self._viewer.snapshot(entry)
        addresses = addresses_of(shot.place, shot.seen)
        if call.version < (1, 18):
            flat = [
                {
                    "net_id": address.network,
                    "port_id": address.port,
                    "subnet_id": address.subnet_id,
                    "version": address.version,
                    "ip_address": address.addr,
                }
                for address in addresses
            ]
            return responses.json({"networks": flat})
        grouped: dict[tuple[str, str], list[dict[str, object]]] = {}
        for address in addresses:
            grouped.setdefault((address.network, address.port), []).append(
                {"ip_address": address.addr, "version": address.version, "subnet_id": address.subnet_id}
            )
        networks = [{"net_id": net, "port_id": port, "fixed_ips": ips} for (net, port), ips in grouped.items()]
        return responses.json({"networks": networks})

    async def add_security_group(self, call: Call) -> Response:
        """Needs the network service."""
        return await self._no_security_groups(call, "container:add_security_group")

    async def remove_security_group(self, call: Call) -> Response:
        """Needs the network service."""
        return await self._no_security_groups(call, "container:remove_security_group")

    async def rename(self, call: Call) -> Response:
        """Give it another name."""
        form = await call.arguments(RenameForm)
        entry = await self._find(call)
        if entry.name == form.name:
            raise Conflict(f"Container {entry.uuid} has the name {form.name} already.")
        return self._shown(call, await self._containers.rename(call.context, entry, form.name), 200)

    async def resize_container(self, call: Call) -> Response:
        """Change what it may use; it happens later."""
        changes = parse_update(await call.json_object(), call.version, self._bounds)
        return self._shown(call, await self._containers.resize(call.context, await self._find(call), changes), 202)

    async def _act(self, call: Call, verb: Verb, **arguments: str | int | None) -> Response:
        given = {name: value for name, value in arguments.items() if value is not None}
        await self._containers.act(call.context, await self._find(call), verb, **given)
        return responses.null(202)

    async def _find(self, call: Call) -> ContainerEntry:
        return await self._containers.find(call.context, call.params["ident"])

    async def _no_security_groups(self, call: Call, rule: str) -> Response:
        form = await call.arguments(SecurityGroupForm)
        entry = await self._find(call)
        self._policy.authorize(call.caller, rule, project_id=entry.project_id)
        raise Unsupported(
            f"The security group {form.name} is unknown: security groups need the network service, "
            "which is not configured here."
        )

    def _shown(self, call: Call, entry: ContainerEntry, status: int) -> Response:
        body, _ = self._viewer.one(entry, call.caller, call.base_url)
        return responses.raw_json(body, status)
