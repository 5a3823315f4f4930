# SPDX-License-Identifier: Apache-2.0
"""The rules that only a container's fields need: numbers with their odd spellings, networks, mounts, ports, policies."""

import base64
import binascii
import ipaddress
import re
import shlex
from typing import Any

import msgspec

from zun.model.parts import HealthCheck, NetRequest, RestartPolicy
from zun.model.rules import Rule, integer, list_of, map_of, one_of, text, then

NAME_PATTERN = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
NAME = text(2, 255, pattern=NAME_PATTERN, hint="letters, digits, '_', '.' and '-', beginning with a letter or digit")
IMAGE = text(2, 255, pattern=r"[a-zA-Z0-9][a-zA-Z0-9_.-]", whole=False, hint="naming an image, like 'alpine:3.20'")
HOST = text(1, 255, pattern=r"[a-zA-Z0-9-._]*", hint="letters, digits, '-', '.' and '_'")
HOSTNAME = text(1, 63, pattern=r"[a-zA-Z0-9-._]*", hint="letters, digits, '-', '.' and '_'")
SHORT_TEXT = text(1, 255)
PATH = text(0, 4096, pattern=r"(/[^\x00]*)?", hint="an absolute path")
PULL_POLICY = one_of(
    "never",
    "always",
    "ifnotpresent",
    also={"Never": "never", "Always": "always", "IfNotPresent": "ifnotpresent"},
    fold=True,
)
IMAGE_DRIVER = one_of("docker", "glance", also={"None": "docker"})

_MAX_RETRIES = 2**31 - 1
_SECONDS = integer(0, 10**6)


class MountRequest(msgspec.Struct, frozen=True):
    """A mount as it was asked for: a volume by `source` (or of `size` GiB), or a file with `content`."""

    destination: str
    source: str = ""
    size: int | None = None
    content: bytes | None = None


def _cores(value: Any) -> float:
    if isinstance(value, str):
        if not value or not re.fullmatch(r"[0-9]{0,9}(\.[0-9]{1,9})?", value):
            raise ValueError
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**9:
        raise ValueError
    return float(value)


CPU = Rule(
    _cores,
    "a number of cores, such as 0.5",
    {"oneOf": [{"type": "number"}, {"type": "string", "pattern": r"^[0-9]{0,9}(\.[0-9]{1,9})?$", "minLength": 1}]},
)
WHOLE_NUMBER = integer(0, 10**9)


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError
        return value
    if value is None or not isinstance(value, bool | int | float):
        raise ValueError
    return str(value)


SCALAR = Rule(_scalar_text, "a string, number or truth value", {"type": ["string", "number", "boolean"]})
TEXTS_FROM_SCALARS = map_of(SCALAR, "strings")
WORDS = list_of(SCALAR)


def _environment_names(environment: dict[str, str]) -> dict[str, str]:
    for name in environment:
        if "=" in name:
            raise ValueError(f"'{name}' holds a '='")
    return environment


ENVIRONMENT = then(map_of(text()), _environment_names)
ENVIRONMENT_FROM_SCALARS = then(TEXTS_FROM_SCALARS, _environment_names)


def _split(value: str) -> list[str] | None:
    return shlex.split(value) or None


SHELL_WORDS = then(text(), _split, "a command that a shell would understand")
"""A command as one string: below 1.20, and of execute."""


def _retries(value: Any) -> int:
    return 0 if value is None else integer(0, _MAX_RETRIES).read(value)


def _restart_policy(value: Any) -> RestartPolicy:
    if not isinstance(value, dict) or "Name" not in value or set(value) - {"Name", "MaximumRetryCount"}:
        raise ValueError("its keys are Name and MaximumRetryCount")
    name = value["Name"]
    if name not in ("no", "always", "on-failure", "unless-stopped"):
        raise ValueError("Name is no, always, on-failure or unless-stopped")
    try:
        count = _retries(value.get("MaximumRetryCount"))
    except ValueError as error:
        raise ValueError("MaximumRetryCount is a whole number, at least 0") from error
    if name == "no":
        count = 0
    if count and name != "on-failure":
        raise ValueError(f"MaximumRetryCount cannot be used with {name}")
    return RestartPolicy(name, count)


RESTART_POLICY = Rule(
    _restart_policy,
    "an object like {'Name': 'on-failure', 'MaximumRetryCount': '3'}",
    {
        "type": "object",
        "required": ["Name"],
        "additionalProperties": False,
        "properties": {
            "Name": {"type": "string", "enum": ["no", "always", "on-failure", "unless-stopped"]},
            "MaximumRetryCount": {
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": "^[0-9]{1,9}$"},
                    {"type": "null"},
                ]
            },
        },
    },
)


def _health_check(value: Any) -> HealthCheck:
    if not isinstance(value, dict) or set(value) - {"cmd", "interval", "retries", "timeout"}:
        raise ValueError("its keys are cmd, interval, retries and timeout")
    command = value.get("cmd")
    if not isinstance(command, str) or not command or "\x00" in command:
        raise ValueError("cmd is the command to run, as a string")
    try:
        numbers = [_SECONDS.read(value[key]) if value.get(key) is not None else 0 for key in _HEALTH_NUMBERS]
    except ValueError as error:
        raise ValueError("interval, retries and timeout are whole numbers (times in seconds)") from error
    return HealthCheck(command, *numbers)


_HEALTH_NUMBERS = ("interval", "retries", "timeout")
HEALTH_CHECK = Rule(
    _health_check,
    "an object like {'cmd': 'test -e /ok', 'interval': 10, 'retries': 3, 'timeout': 5}",
    {
        "type": "object",
        "required": ["cmd"],
        "additionalProperties": False,
        "properties": {"cmd": {"type": "string", "minLength": 1, "pattern": r"^[^\x00]*$"}}
        | {key: {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]} for key in _HEALTH_NUMBERS},
    },
)


def _port(key: str) -> str:
    match = re.fullmatch(r"([0-9]{1,5})(?:/(tcp|udp))?", key)
    if not match or not 1 <= int(match[1]) <= 65535:
        raise ValueError(f"'{key}' is no port; write '80', '80/tcp' or '53/udp'")
    return f"{int(match[1])}/{match[2] or 'tcp'}"


def _exposed_ports(value: Any) -> list[str]:
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - rules speak through ValueError
    for key, nothing in value.items():
        if nothing != {}:
            raise ValueError(f"the value of '{key}' is {{}}")
    return list(dict.fromkeys(_port(key) for key in value))


EXPOSED_PORTS = Rule(
    _exposed_ports,
    "an object like {'80/tcp': {}}",
    {
        "type": "object",
        "propertyNames": {"pattern": r"^[0-9]{1,5}(/(tcp|udp))?$"},
        "additionalProperties": {"type": "object", "maxProperties": 0},
    },
)


def _fixed_ip(item: dict[str, Any], key: str, version: int) -> str | None:
    if key not in item:
        return None
    written = item[key] if isinstance(item[key], str) else ""
    try:
        address = ipaddress.IPv4Address(written) if version == 4 else ipaddress.IPv6Address(written)
    except ValueError as error:
        raise ValueError(f"{key} is an IPv{version} address") from error
    return str(address)


IP_ADDRESS: Rule[str] = Rule(
    lambda value: str(ipaddress.ip_address(value if isinstance(value, str) else "")),
    "an IP address",
    {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]},
)


def _net(item: Any) -> NetRequest:
    if not isinstance(item, dict) or set(item) - {"network", "port", "v4-fixed-ip", "v6-fixed-ip"}:
        raise ValueError("its keys are network or port, v4-fixed-ip, v6-fixed-ip")
    if ("network" in item) == ("port" in item):
        raise ValueError("exactly one of network and port is needed")
    kind = "network" if "network" in item else "port"
    try:
        name = SHORT_TEXT.read(item[kind])
    except ValueError as error:
        raise ValueError(f"{kind} is a name or id of 1 to 255 characters") from error
    return NetRequest(
        network=name if kind == "network" else "",
        port=name if kind == "port" else "",
        v4_fixed_ip=_fixed_ip(item, "v4-fixed-ip", 4),
        v6_fixed_ip=_fixed_ip(item, "v6-fixed-ip", 6),
    )


_NET_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "network": dict(SHORT_TEXT.schema),
        "port": dict(SHORT_TEXT.schema),
        "v4-fixed-ip": {"type": "string", "format": "ipv4"},
        "v6-fixed-ip": {"type": "string", "format": "ipv6"},
    },
    "oneOf": [{"required": ["network"]}, {"required": ["port"]}],
}
NETS = list_of(Rule(_net, "an object like {'network': 'NAME'}", _NET_SCHEMA), 16)


def _content(source: str) -> bytes:
    try:
        return base64.b64decode("".join(source.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the source of a bind mount is the file's content in base64") from error


def _volume_name(source: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}", source):
        raise ValueError("source is the name of a volume (letters, digits, '_', '.' and '-')")
    return source


VOLUME_NAME = Rule(_volume_name, "the name of a volume", {"type": "string"})


def _mount(item: Any) -> MountRequest:
    if not isinstance(item, dict) or set(item) - {"type", "source", "destination", "size"}:
        raise ValueError("its keys are type, source, destination and size")
    destination, source, size = item.get("destination"), item.get("source"), item.get("size")
    if not isinstance(destination, str) or not re.fullmatch(r"/[^\x00:]{1,4095}", destination):
        raise ValueError("destination is an absolute path in the container, without ':'")
    if source is not None and not isinstance(source, str):
        raise ValueError("source is a string")
    kind = item.get("type", "volume")
    if kind == "bind":
        if source is None:
            raise ValueError("a bind mount needs a source, the file's content in base64")
        return MountRequest(destination, content=_content(source))
    if kind != "volume":
        raise ValueError("type is volume or bind")
    if source:
        return MountRequest(destination, source=_volume_name(source))
    try:
        return MountRequest(destination, size=integer(1, 10**6).read(size))
    except ValueError as error:
        raise ValueError("a volume needs a source (its name) or a size in GiB") from error


_MOUNT_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["destination"],
    "properties": {
        "type": {"type": "string", "enum": ["volume", "bind"]},
        "source": {"type": "string"},
        "destination": {"type": "string", "pattern": r"^/[^\x00:]+$", "maxLength": 4096},
        "size": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9]{0,5}$"}]},
    },
    "anyOf": [{"required": ["source"]}, {"required": ["size"]}],
}
MOUNTS = list_of(Rule(_mount, "an object like {'source': 'VOLUME', 'destination': '/data'}", _MOUNT_SCHEMA), 32)

SECURITY_GROUPS = then(list_of(SHORT_TEXT), lambda names: list(dict.fromkeys(names)))
