# SPDX-License-Identifier: Apache-2.0
"""A capsule's template, read: what is to run, in the words of containers. Raises `Invalid` that names the path of what is wrong."""

from typing import Any

import msgspec

from zun.model import container_rules as rules
from zun.model import template_text
from zun.model.attachments import Protocol, PublishedPort
from zun.model.children import MAX_CHILDREN
from zun.model.container import ContainerSpec
from zun.model.errors import Invalid
from zun.model.fields import Bounds
from zun.model.parts import RestartPolicy
from zun.model.port_rules import MAX_PUBLISHED, each_host_port_once
from zun.model.probes import Probes, probes_of, refuse_probes
from zun.model.rules import NARROW_BOOLEAN, SCHEMA_VIOLATION, Rule, integer, one_of, text
from zun.model.template_part import Part
from zun.model.template_resources import Resources, resources_of
from zun.model.template_volumes import Volumes, mounts_of

ROOT = "template"

_KIND = one_of("capsule", also={"Capsule": "capsule"})
_VERSION = one_of("beta", also={"Beta": "beta"})
_POLICY = one_of("Always", "OnFailure", "Never")
_POLICIES = {"Always": "always", "OnFailure": "on-failure", "Never": "no"}
_PROTOCOL = one_of("tcp", "udp", also={"TCP": "tcp", "UDP": "udp"})
_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp"}
_PORT = integer(1, 65535)
_GRACE = integer(0, 86400)


class ChildRequest(msgspec.Struct, frozen=True):
    """One container asked for. Its spec has no name yet; cpu and memory are 0 where it asks for none."""

    spec: ContainerSpec
    given_name: str = ""
    resources: Resources = Resources()
    probes: Probes | None = None


class CapsuleRequest(msgspec.Struct, frozen=True):
    """What a template asks for. `grace_seconds`: how long its containers may take to end when it is deleted; None: as long as the node gives."""

    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    restart_policy: RestartPolicy
    availability_zone: str | None
    containers: list[ChildRequest]
    init_containers: list[ChildRequest]
    grace_seconds: int | None = None


def template_value(value: Any) -> Any:
    """The template as an object, whether it came as one or as text. Raises `ValueError` when it is neither."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return template_text.parse(value, ROOT)
    raise ValueError


TEMPLATE: Rule[Any] = Rule(
    template_value,
    "an object, or a string of JSON or YAML that describes one",
    {"oneOf": [{"type": "object"}, {"type": "string"}]},
)


def parse_template(value: Any, bounds: Bounds) -> CapsuleRequest:
    """Read a template. `bounds` are the operator's for cpu and memory of one container."""
    top = Part(value, ROOT)
    top.need("kind", _KIND)
    top.take("capsuleVersion", _VERSION)
    top.take("restartPolicy", _POLICY)
    zone = top.take("availabilityZone", rules.SHORT_TEXT)
    metadata, spec = top.need_part("metadata"), top.need_part("spec")
    top.finish()
    policy = RestartPolicy(_POLICIES[spec.take("restartPolicy", _POLICY, "Always")])
    volumes = Volumes(spec)
    request = CapsuleRequest(
        name=metadata.take("name", rules.NAME, ""),
        labels=metadata.take("labels", rules.TEXTS_FROM_SCALARS, {}),
        annotations=metadata.take("annotations", rules.TEXTS_FROM_SCALARS, {}),
        restart_policy=policy,
        availability_zone=zone,
        containers=[_container(part, policy, volumes, bounds) for part in spec.parts("containers")],
        init_containers=[_init_container(part, policy, volumes, bounds) for part in spec.parts("initContainers")],
        grace_seconds=spec.take("terminationGracePeriodSeconds", _GRACE),
    )
    if not request.containers:
        raise Invalid(f"'{spec.at('containers')}' must be a list of at least one container.", code=SCHEMA_VIOLATION)
    if len(request.containers) + len(request.init_containers) > MAX_CHILDREN:
        raise Invalid(
            f"A capsule has at most {MAX_CHILDREN} containers, init containers included.", code=SCHEMA_VIOLATION
        )
    _check_published(request, spec)
    volumes.finish()
    return request


def _init_container(part: Part, policy: RestartPolicy, volumes: Volumes, bounds: Bounds) -> ChildRequest:
    """One that ended well is through, whatever the policy."""
    refuse_probes(part)
    return _container(part, policy if policy.name == "no" else RestartPolicy("on-failure"), volumes, bounds)


def _check_published(request: CapsuleRequest, spec: Part) -> None:
    """What one container published is taken for the others, and one that ends before them publishes nothing."""
    for number, one in enumerate(request.init_containers):
        if one.spec.published_ports:
            where = f"{spec.at('initContainers')}[{number}].ports"
            raise Invalid(
                f"'{where}' has a hostPort, and what runs before the others publishes no ports; leave it out.",
                code=SCHEMA_VIOLATION,
            )
    published = [port for one in request.containers for port in one.spec.published_ports]
    if len(published) > MAX_PUBLISHED:
        raise Invalid(
            f"'{spec.at('containers')}' have {len(published)} hostPorts; at most {MAX_PUBLISHED} are possible.",
            code=SCHEMA_VIOLATION,
        )
    try:
        each_host_port_once(published)
    except ValueError as error:
        raise Invalid(
            f"'{spec.at('containers')}' publish a hostPort twice ({error}); each can lead to one port.",
            code=SCHEMA_VIOLATION,
        ) from error


def _container(part: Part, policy: RestartPolicy, volumes: Volumes, bounds: Bounds) -> ChildRequest:
    image = part.need("image", rules.IMAGE)
    given_name = part.take("name", rules.NAME, "")
    command = part.take("command", rules.WORDS, [])
    arguments = part.take("args", rules.WORDS, [])
    resources = resources_of(part, bounds)
    exposed, published = _ports(part)
    spec = ContainerSpec(
        image=image,
        command=[*command, *arguments] or None,
        cpu=resources.cpu,
        memory=resources.memory,
        environment=part.take("env", rules.ENVIRONMENT_FROM_SCALARS, {}),
        workdir=part.take("workDir", rules.PATH) or None,
        image_pull_policy=part.take("imagePullPolicy", rules.PULL_POLICY),
        exposed_ports=exposed,
        published_ports=published,
        mounts=mounts_of(part, volumes),
        interactive=part.take("stdin", NARROW_BOOLEAN, False),
        tty=part.take("tty", NARROW_BOOLEAN, False),
        restart_policy=policy,
        privileged=_privileged(part),
    )
    probes = probes_of(part)
    part.finish()
    return ChildRequest(spec, given_name, resources, probes)


def _privileged(part: Part) -> bool:
    """All of a Kubernetes security context that a container here can have; the rest is refused rather than passed over."""
    security = part.part("securityContext")
    if security is None:
        return False
    privileged = security.take("privileged", NARROW_BOOLEAN, False)
    security.finish("Containers run as their image says, with the rights that Docker gives; leave it out.")
    return privileged


def _ports(part: Part) -> tuple[list[str], list[PublishedPort]]:
    """The ports that it serves, and those of them that are published on its node."""
    exposed, published = [], []
    for port in part.parts("ports"):
        number = port.need("containerPort", _PORT)
        port.take("name", text(0, 255))
        host_port = port.take("hostPort", _PORT)
        protocol = _PROTOCOLS[port.take("protocol", _PROTOCOL, "tcp")]
        exposed.append(f"{number}/{protocol}")
        if host_port is not None:
            published.append(PublishedPort(host_port=host_port, port=number, protocol=protocol))
        port.finish()
    return list(dict.fromkeys(exposed)), published
