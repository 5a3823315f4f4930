# SPDX-License-Identifier: Apache-2.0
"""What a container asks of a node: read once from its spec, so that filters look at plain values."""

import math
from collections.abc import Sequence

import msgspec

from zun.controllers.scheduling.tenants import Tenant, held_under
from zun.drivers.runtime.types import Capability
from zun.model.attachments import Attachment, Port, PublishedPort
from zun.model.children import RecordKind
from zun.model.container import ContainerSpec, NetRequest
from zun.model.records import Claim, ContainerRecord, Place
from zun.model.resources import DEDICATED, millicpus
from zun.services.committed import LOCAL_DOMAIN

LABEL_HINT = "label:"
"""A hint `label:<key>` asks for a node whose engine has the label `<key>` with that value. Other hints mean nothing."""

_LOCAL = f"{LOCAL_DOMAIN}/"


class Request(msgspec.Struct, frozen=True):
    """One container's demands. `dedicated` is a number of whole cpus (0: it shares); `secrets` tells that files or a login
    must be sealed for the node; `local_images` only lie on the node where they were committed; `leaves` is the node it must not
    be placed on since it leaves that; `held_under` is the runtime that all of it surely runs under. `exposed` are the only ports that are open on networks of the service (None: all). `kept` are interfaces that it has already, with addresses on networks of the control plane; None: it has none such.
    `published`: the ports of its node that it asks for, host_port 0 for any; one that moves asks for those it had."""

    uuid: str
    millicpus: int
    memory_mib: int
    disk_gib: int = 0
    dedicated: int = 0
    host: str | None = None
    zone: str | None = None
    runtime: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    capabilities: frozenset[str] = frozenset()
    nets: tuple[NetRequest, ...] = ()
    secrets: bool = False
    local_images: tuple[str, ...] = ()
    leaves: str | None = None
    project_id: str = ""
    held_under: str | None = None
    exposed: tuple[Port, ...] | None = None
    kept: tuple[Attachment, ...] | None = None
    published: tuple[PublishedPort, ...] = ()

    @property
    def tenant(self) -> Tenant:
        """Whose it is, and what all of it runs under."""
        return Tenant(self.project_id, self.held_under)

    def claim(self, cpus: tuple[int, ...] = ()) -> Claim:
        """What it takes of a node; `cpus` are those it got for itself."""
        return Claim(
            millicpus=1000 * len(cpus) if cpus else self.millicpus,
            memory_mib=self.memory_mib,
            disk_gib=self.disk_gib,
            cpuset=",".join(map(str, cpus)) if cpus else None,
        )


def request_of(
    record: ContainerRecord,
    *,
    leaves: str | None = None,
    networks: Sequence[NetRequest] | None = None,
    place: Place | None = None,
) -> Request:
    """What the wish asks for; `networks` are those it is on when they are not the wish's, `place` is where it was."""
    spec = record.spec
    source = record.image_source
    sources = [source] if source is not None else [child.image_source for child in record.children]
    return Request(
        uuid=record.uuid,
        millicpus=millicpus(spec.cpu),
        memory_mib=spec.memory,
        disk_gib=spec.disk,
        dedicated=dedicated_cpus(spec.cpu) if spec.cpu_policy == DEDICATED else 0,
        host=spec.host,
        zone=spec.availability_zone,
        runtime=spec.runtime,
        labels=tuple(
            (key.removeprefix(LABEL_HINT), value) for key, value in spec.hints.items() if key.startswith(LABEL_HINT)
        ),
        capabilities=_capabilities_of(record),
        nets=tuple(spec.nets if networks is None else networks),
        secrets=record.files > 0 or (source is not None and source.credentials),
        local_images=tuple(one.reference for one in sources if one.reference.startswith(_LOCAL)),
        leaves=leaves,
        project_id=record.project_id,
        held_under=held_under(spec, [child.spec for child in record.children]),
        exposed=exposed_of(spec),
        kept=_kept(place),
        published=tuple((place.published if place is not None else []) or spec.published_ports),
    )


def exposed_of(spec: ContainerSpec) -> tuple[Port, ...] | None:
    """The ports that are open for others on its networks, when it exposes any; else all are."""
    if not spec.exposed_ports:
        return None
    pieces = (port.partition("/") for port in spec.exposed_ports)
    return tuple(Port(int(number), "udp" if protocol == "udp" else "tcp") for number, _, protocol in pieces)


def _kept(place: Place | None) -> tuple[Attachment, ...] | None:
    """What a node tells of networks counts for its engine's own only: of ours the place knows."""
    attachments = place.attachments if place is not None else None
    return None if attachments is None else tuple(attachments)


def dedicated_cpus(cpu: float) -> int:
    """How many whole cpus a dedicated container gets."""
    return max(1, math.ceil(millicpus(cpu) / 1000))


def _capabilities_of(record: ContainerRecord) -> frozenset[str]:
    needed = _capabilities(record.spec)
    if record.kind is RecordKind.CAPSULE:
        if record.spec.runtime is not None:
            needed = needed | {Capability.SANDBOXED_CAPSULES.value}
        needed = needed.union({Capability.CAPSULES.value}, *(_capabilities(child.spec) for child in record.children))
        if any(child.probes is not None for child in record.children):
            needed |= {Capability.HEALTH.value}
    return needed


def _capabilities(spec: ContainerSpec) -> frozenset[str]:
    needed = set()
    if spec.privileged:
        needed.add(Capability.PRIVILEGED.value)
    if any(mount.file is None for mount in spec.mounts):
        needed.add(Capability.VOLUMES.value)
    if spec.cpu_policy == DEDICATED:
        needed.add(Capability.CPUSET.value)
    if spec.healthcheck is not None:
        needed.add(Capability.HEALTH.value)
    if spec.nets:
        needed.add(Capability.NETWORKS.value)
    if spec.published_ports:
        needed.add(Capability.PUBLISH.value)
    return frozenset(needed)
