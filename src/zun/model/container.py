# SPDX-License-Identifier: Apache-2.0
"""A container as its owner wishes it: the one declaration of its fields.

Types are those after validation (memory in MiB as a number, cpu as cores …). The `Annotated` metadata of each attribute
(`zun.model.fields.Field`) says how a request writes it, since which microversion, who may see it, how the view shows it and which
option of the command line sets it; request validation, views, OpenAPI and command-line options derive from it.
"""

from typing import Annotated, Any

import msgspec

from zun.model import container_rules as rules
from zun.model import option_texts as texts
from zun.model.attachments import PublishedPort
from zun.model.fields import Below, Earlier, Field, Option, Shown, Since
from zun.model.parts import HealthCheck, Mount, NetRequest, RestartPolicy
from zun.model.port_rules import PUBLISHED_PORTS
from zun.model.rules import JSON_BOOLEAN, NARROW_BOOLEAN, one_of

__all__ = ["ContainerSpec", "HealthCheck", "Mount", "NetRequest", "RestartPolicy"]


def _show_restart_policy(policy: RestartPolicy | None) -> dict[str, str]:
    return {} if policy is None else {"Name": policy.name, "MaximumRetryCount": str(policy.max_retries)}


def _show_health_check(check: HealthCheck | None) -> dict[str, Any]:
    return {} if check is None else msgspec.structs.asdict(check)


def _given(value: Any) -> bool:
    return bool(value)


_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_OPTIONAL_TEXT = {"type": ["string", "null"]}


class ContainerSpec(msgspec.Struct, omit_defaults=True):
    """The 30 fields of the contract's create request and our own, normalised."""

    image: Annotated[str, Field(rule=rules.IMAGE, required=True, nullable=False, doc="What to run.", shown=Shown())]
    name: Annotated[
        str,
        Field(
            rule=rules.NAME,
            doc="A name for people; one is made up when absent.",
            patch=True,
            shown=Shown(),
            option=Option(("--name", "-n"), "NAME", texts.last),
        ),
    ] = ""
    command: Annotated[
        list[str] | None,
        Field(
            rule=rules.WORDS,
            earlier=Earlier((1, 20), rules.SHELL_WORDS),
            doc="The command and its arguments; the image's own when absent.",
        ),
    ] = None
    entrypoint: Annotated[
        list[str] | None,
        Field(
            rule=rules.WORDS,
            since=Since((1, 40), Below.UNKNOWN),
            doc="What runs the command; the image's own when absent.",
            option=Option(("--entrypoint",), "COMMAND", texts.words),
        ),
    ] = None
    cpu: Annotated[
        float,
        Field(
            rule=rules.CPU,
            bounded=True,
            patch=True,
            doc="Cores.",
            shown=Shown(float, {"type": "number"}),
            option=Option(("--cpu", "--cpus"), "CORES", texts.last),
        ),
    ] = 1.0
    cpu_policy: Annotated[
        str,
        Field(
            rule=one_of("shared", "dedicated"),
            nullable=False,
            doc="Whether its cores are its own.",
            shown=Shown(),
            option=Option(("--cpu-policy",), "shared|dedicated", texts.last),
        ),
    ] = "shared"
    memory: Annotated[
        int,
        Field(
            rule=rules.WHOLE_NUMBER,
            bounded=True,
            patch=True,
            doc="Memory in MiB.",
            shown=Shown(str, {"type": "string"}),
            option=Option(("--memory", "-m"), "MIB", texts.mebibytes, help="Memory in MiB, or with a unit: 512m, 2g."),
        ),
    ] = 512  # MiB
    disk: Annotated[
        int,
        Field(
            rule=rules.WHOLE_NUMBER,
            bounded=True,
            doc="Disk in GiB, where the node can limit it.",
            shown=Shown(schema={"type": "integer"}),
            option=Option(("--disk",), "GIB", texts.number),
        ),
    ] = 0  # GiB, 0: not limited
    workdir: Annotated[
        str | None,
        Field(
            rule=rules.PATH,
            doc="The directory in which the command runs.",
            option=Option(("--workdir", "-w"), "PATH", texts.last),
        ),
    ] = None
    environment: Annotated[
        dict[str, str],
        Field(
            rule=rules.ENVIRONMENT,
            doc="Environment variables.",
            shown=Shown(schema=_TEXTS),
            option=Option(("--environment", "--env", "-e"), "KEY=VALUE", texts.pairs, repeated=True),
        ),
    ] = {}
    labels: Annotated[
        dict[str, str],
        Field(
            rule=rules.TEXTS_FROM_SCALARS,
            doc="Labels, kept with the container.",
            shown=Shown(schema=_TEXTS),
            option=Option(("--label", "-l"), "KEY=VALUE", texts.pairs, repeated=True),
        ),
    ] = {}
    hints: Annotated[
        dict[str, str],
        Field(
            rule=rules.TEXTS_FROM_SCALARS,
            doc="Labels that the node must have.",
            option=Option(("--hint",), "KEY=VALUE", texts.pairs, repeated=True),
        ),
    ] = {}
    interactive: Annotated[
        bool,
        Field(
            rule=NARROW_BOOLEAN,
            nullable=False,
            doc="Keep its standard input open, so that one can attach.",
            shown=Shown(),
            option=Option(("--interactive", "-i"), switch=True),
        ),
    ] = False
    stdin_once: Annotated[
        bool,
        Field(
            rule=NARROW_BOOLEAN,
            nullable=False,
            since=Since((1, 40), Below.UNKNOWN),
            doc="With interactive: its input ends when the first who attached ends it or leaves.",
        ),
    ] = False
    tty: Annotated[
        bool,
        Field(
            rule=NARROW_BOOLEAN,
            nullable=False,
            doc="Give it a terminal.",
            shown=Shown(),
            option=Option(("--tty", "-t"), switch=True),
        ),
    ] = False
    restart_policy: Annotated[
        RestartPolicy | None,
        Field(
            rule=rules.RESTART_POLICY,
            doc="Whether to start it again when it ended.",
            shown=Shown(_show_restart_policy, _TEXTS),
            option=Option(("--restart",), "no|always|on-failure[:N]|unless-stopped", texts.restart_policy),
        ),
    ] = None
    image_driver: Annotated[
        str,
        Field(
            rule=rules.IMAGE_DRIVER,
            doc="Where the image comes from.",
            shown=Shown(),
            option=Option(("--image-driver",), "docker|glance", texts.last),
        ),
    ] = "docker"
    image_pull_policy: Annotated[
        str | None,
        Field(
            rule=rules.PULL_POLICY,
            doc="When to fetch the image; for administrators.",
            shown=Shown(schema=_OPTIONAL_TEXT, policy="container:get_one:image_pull_policy"),
            option=Option(("--image-pull-policy", "--pull"), "always|missing|never", texts.pull_policy),
        ),
    ] = None
    security_groups: Annotated[
        list[str],
        Field(
            rule=rules.SECURITY_GROUPS,
            doc="Security groups by name or id.",
            shown=Shown(schema={"type": "array", "items": {"type": "string"}}),
            option=Option(("--security-group",), "GROUP", list, repeated=True),
        ),
    ] = []
    nets: Annotated[
        list[NetRequest],
        Field(
            rule=rules.NETS,
            doc="Networks to join; the default one when absent.",
            option=Option(("--network", "--net"), "NETWORK", texts.nets, repeated=True),
        ),
    ] = []
    mounts: Annotated[
        list[Mount],
        Field(
            rule=rules.MOUNTS,
            since=Since((1, 11), when=_given),
            doc="Volumes to mount and files to inject.",
            option=Option(("--mount", "-v"), "VOLUME:/PATH", texts.mounts, repeated=True),
        ),
    ] = []
    runtime: Annotated[
        str | None,
        Field(
            rule=rules.SHORT_TEXT,
            since=Since((1, 5)),
            doc="The engine's runtime, such as runc; for administrators.",
            shown=Shown(schema=_OPTIONAL_TEXT, policy="container:get_one:runtime"),
            option=Option(("--runtime",), "RUNTIME", texts.last),
        ),
    ] = None
    hostname: Annotated[
        str | None,
        Field(
            rule=rules.HOSTNAME,
            nullable=False,
            since=Since((1, 9)),
            doc="What it calls itself.",
            shown=Shown(schema=_OPTIONAL_TEXT),
            option=Option(("--hostname",), "NAME", texts.last),
        ),
    ] = None
    host: Annotated[
        str | None,
        Field(
            rule=rules.HOST,
            nullable=False,
            since=Since((1, 39), Below.UNKNOWN),
            doc="The node to run on; for administrators.",
            option=Option(("--host",), "NODE", texts.last),
        ),
    ] = None
    availability_zone: Annotated[
        str | None,
        Field(
            rule=rules.SHORT_TEXT,
            doc="The zone to run in.",
            option=Option(("--availability-zone", "--zone"), "ZONE", texts.last),
        ),
    ] = None
    auto_remove: Annotated[
        bool,
        Field(
            rule=JSON_BOOLEAN,
            since=Since((1, 3)),
            doc="Delete it when it ended.",
            shown=Shown(),
            option=Option(("--auto-remove", "--rm"), switch=True),
        ),
    ] = False
    auto_heal: Annotated[
        bool,
        Field(
            rule=NARROW_BOOLEAN,
            nullable=False,
            patch=True,
            doc="Make it again when the engine lost it.",
            shown=Shown(),
            option=Option(("--auto-heal",), switch=True),
        ),
    ] = False
    privileged: Annotated[
        bool,
        Field(
            rule=NARROW_BOOLEAN,
            nullable=False,
            since=Since((1, 21)),
            doc="Give it the node's own rights; the policy allows this to nobody by default.",
            shown=Shown(policy="container:get_one:privileged"),
            option=Option(("--privileged",), switch=True),
        ),
    ] = False
    healthcheck: Annotated[
        HealthCheck | None,
        Field(
            rule=rules.HEALTH_CHECK,
            since=Since((1, 22)),
            doc="A command that tells whether it is well.",
            shown=Shown(_show_health_check, {"type": "object"}),
            option=Option(("--healthcheck",), "cmd=…[,interval=…,retries=…,timeout=…]", texts.health_check),
        ),
    ] = None
    exposed_ports: Annotated[
        list[str],
        Field(
            rule=rules.EXPOSED_PORTS,
            since=Since((1, 24)),
            doc="Ports that it serves.",
            option=Option(("--expose-port", "--expose"), "PORT[/PROTOCOL]", texts.exposed_ports, repeated=True),
        ),
    ] = []  # "80/tcp"
    published_ports: Annotated[
        list[PublishedPort],
        Field(
            rule=PUBLISHED_PORTS,
            since=Since((1, 40), Below.UNKNOWN),
            doc="Ports of its node that lead to its own; one is chosen where none is named.",
            option=Option(("--publish", "-p"), "[HOSTPORT:]PORT[/PROTOCOL]", texts.published_ports, repeated=True),
        ),
    ] = []  # host_port 0: chosen with the node
    registry: Annotated[
        str | None,
        Field(
            rule=rules.NAME,
            nullable=False,
            since=Since((1, 31)),
            doc="The private registry that has the image, by name or id.",
            option=Option(("--registry",), "REGISTRY", texts.last),
        ),
    ] = None
