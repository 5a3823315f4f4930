# SPDX-License-Identifier: Apache-2.0
"""From the wish to the engine's words: what a container is made from on this node."""

import re

from zun.agent.memory import Memory
from zun.drivers.runtime.types import ContainerRequest, FileMount, NetworkRequest, VolumeMount
from zun.model.container import NetRequest
from zun.model.errors import Invalid
from zun.model.project_space import project_space
from zun.model.publishing import exposed
from zun.model.records import Inbox

_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}")


def container_request(
    inbox: Inbox,
    memory: Memory,
    file_paths: dict[int, str],
    shared_cpus: str | None = None,
    *,
    checks_health: bool = True,
) -> ContainerRequest:
    """What the engine is asked to make. Limits come from the claim: that is what the leader granted. Raises `Invalid`.

    `shared_cpus` are those of containers without cpus of their own; None: all. `checks_health`: the engine does it, and not the agent.
    """
    spec, claim = inbox.spec, inbox.claim
    return ContainerRequest(
        uuid=inbox.uuid,
        generation=inbox.generation,
        project_id=inbox.project_id,
        image=image_of(inbox),
        command=spec.command,
        entrypoint=spec.entrypoint,
        environment=spec.environment,
        labels=spec.labels,
        workdir=spec.workdir,
        hostname=spec.hostname,
        tty=spec.tty,
        interactive=spec.interactive,
        stdin_once=spec.stdin_once,
        privileged=spec.privileged,
        runtime=spec.runtime,
        cpu=claim.millicpus / 1000 if claim.millicpus else None,
        cpuset=claim.cpuset or shared_cpus,
        memory_mib=claim.memory_mib or None,
        disk_gib=claim.disk_gib,
        healthcheck=spec.healthcheck if checks_health else None,
        exposed_ports=exposed_of(inbox),
        published=tuple(inbox.published),
        networks=engine_networks(inbox, memory),
        unplugged=inbox.attachments is not None,
        addresses=first_addresses(inbox),
        volumes=tuple(
            VolumeMount(volume_name(inbox.project_id, mount.source), mount.destination, mount.read_only)
            for mount in spec.mounts
            if mount.source and mount.file is None
        ),
        files=tuple(
            FileMount(file_paths[mount.file], mount.destination) for mount in spec.mounts if mount.file is not None
        ),
    )


def exposed_of(inbox: Inbox) -> list[str]:
    """The ports that it serves: those that it exposes, and those that lead to it from its node, whoever publishes them."""
    published = [port for one in inbox.attachments or () for port in one.published]
    return exposed(inbox.spec.exposed_ports, [*inbox.published, *published])


def image_of(inbox: Inbox) -> str:
    """The reference the engine is asked for."""
    return inbox.image_source.reference if inbox.image_source is not None else inbox.spec.image


def networks_of(inbox: Inbox, memory: Memory) -> list[NetRequest]:
    """The networks it is to be on: the wished ones, with what was attached and detached since."""
    return inbox.spec.nets if memory.networks is None else memory.networks


def engine_networks(inbox: Inbox, memory: Memory) -> tuple[NetworkRequest, ...]:
    """The engine's networks that it is to be on: none of them when the service plugs it in."""
    if inbox.attachments is not None:
        return ()
    return tuple(_network_request(net) for net in networks_of(inbox, memory))


def first_addresses(inbox: Inbox) -> tuple[str, ...]:
    """The addresses of the first interface that the service gives it: what its name stands for."""
    return tuple(address.addr for one in (inbox.attachments or ())[:1] for address in one.addresses)


def _network_request(net: NetRequest) -> NetworkRequest:
    """A network in the engine's words."""
    return NetworkRequest(net.network, net.v4_fixed_ip, net.v6_fixed_ip)


def volume_name(project_id: str, name: str) -> str:
    """The engine's name of a project's volume: no two projects can ever mean the same one. Raises `Invalid`."""
    if not _VOLUME.fullmatch(name):
        raise Invalid(
            f"{name!r} is no volume name; use at most 100 letters, digits, '_', '.' and '-', beginning with a letter or digit."
        )
    return f"zun-{project_space(project_id)}-{name}"
