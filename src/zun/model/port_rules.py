# SPDX-License-Identifier: Apache-2.0
"""The rule for ports that a container publishes on its node."""

from typing import Any

from zun.model.attachments import Protocol, PublishedPort
from zun.model.rules import Rule, integer, list_of, then

MAX_PUBLISHED = 16
"""So many ports of a node one container may take, at most."""

_NUMBER = integer(1, 65535)
_PROTOCOLS: dict[object, Protocol] = {"tcp": "tcp", "udp": "udp"}


def _published_port(item: Any) -> PublishedPort:
    if not isinstance(item, dict) or set(item) - {"port", "protocol", "host_port"}:
        raise ValueError("its keys are port, protocol and host_port")
    try:
        port = _NUMBER.read(item.get("port"))
        asked = item.get("host_port")
        host_port = _NUMBER.read(asked) if asked not in (None, 0) else 0
    except ValueError as error:
        raise ValueError("port and host_port are 1 to 65535; without host_port one is chosen") from error
    written = item.get("protocol", "tcp")
    if not isinstance(written, str) or written not in _PROTOCOLS:
        raise ValueError("protocol is tcp or udp")
    return PublishedPort(host_port=host_port, port=port, protocol=_PROTOCOLS[written])


def each_host_port_once(published: list[PublishedPort]) -> list[PublishedPort]:
    """The same ports. Raises `ValueError` when two of them ask for the same port of the node."""
    asked = [(port.host_port, port.protocol) for port in published if port.host_port]
    twice = next((one for place, one in enumerate(asked) if one in asked[:place]), None)
    if twice is not None:
        raise ValueError(f"host_port {twice[0]}/{twice[1]} is there twice")
    return published


PUBLISHED_PORTS = then(
    list_of(
        Rule(
            _published_port,
            "an object like {'port': 80, 'host_port': 8080}",
            {
                "type": "object",
                "required": ["port"],
                "additionalProperties": False,
                "properties": {
                    "port": dict(_NUMBER.schema),
                    "protocol": {"type": "string", "enum": ["tcp", "udp"]},
                    "host_port": {"anyOf": [dict(integer(0, 65535).schema), {"type": "null"}]},
                },
            },
        ),
        MAX_PUBLISHED,
    ),
    each_host_port_once,
)
