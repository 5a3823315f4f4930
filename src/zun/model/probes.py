# SPDX-License-Identifier: Apache-2.0
"""Probes of a capsule's containers: how their node finds out whether they are well. Read from a template, in the words of Kubernetes.

What they mean is Kubernetes' (API reference, type Probe v1 core): a startup probe holds the others off until it has passed once; a container
whose startup or liveness probe fails is ended; readiness is shown.
"""

from collections.abc import Mapping

import msgspec

from zun.model import container_rules as rules
from zun.model.errors import Invalid
from zun.model.rules import SCHEMA_VIOLATION, Rule, integer, list_of, one_of, text
from zun.model.template_part import Part

KINDS = ("startup", "liveness", "readiness")

_PORT = integer(1, 65535)
_COUNT = integer(1, 1000)
_SECONDS = integer(1, 86400)
_DELAY = integer(0, 86400)
_SCHEME = one_of("HTTP", "HTTPS")
_PATH = text(
    1, 2048, pattern=r"/[\x21\x22\x24-\x7e]*", hint="a path like /healthz, with its query; no blanks and no '#'"
)
_HEADER = text(1, 255, pattern=r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", hint="the name of a header")
_HEADER_VALUE = text(0, 4096, pattern=r"[\t\x20-\x7e]*", hint="one line of ASCII")
_WORDS = list_of(rules.SCALAR, 256)
_MOST_HEADERS = 32


class HttpGet(msgspec.Struct, omit_defaults=True, frozen=True):
    """A GET of the capsule's own address. `tls`: over TLS, whatever certificate is shown."""

    port: int
    path: str = "/"
    tls: bool = False
    headers: list[tuple[str, str]] = []


class Probe(msgspec.Struct, omit_defaults=True, frozen=True):
    """What is asked, and when: exactly one of `command` (run in the container), `http` and `tcp` (a port that takes connections). Times in seconds.

    `delay`: before the first time; `period`: from one to the next; `successes`, `failures`: so many in a row change the verdict.
    """

    command: list[str] = []
    http: HttpGet | None = None
    tcp: int = 0
    delay: int = 0
    period: int = 10
    timeout: int = 1
    successes: int = 1
    failures: int = 3


class Probes(msgspec.Struct, omit_defaults=True, frozen=True):
    """Those of one container."""

    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None


def probes_of(container: Part) -> Probes | None:
    """The probes of a container; None: it has none. Raises `Invalid`."""
    found = {kind: part for kind in KINDS if (part := container.part(_key(kind))) is not None}
    if not found:
        return None
    ports = _named_ports(container)
    return Probes(**{kind: _probe(part, kind, ports) for kind, part in found.items()})


def refuse_probes(container: Part) -> None:
    """Raises `Invalid` when an init container has a probe: it is through when it has ended, and nobody waits for it to be ready."""
    for kind in KINDS:
        if container.has(_key(kind)):
            raise Invalid(
                f"'{container.at(_key(kind))}' is for containers that go on; an init container has no probes, so leave it out.",
                code=SCHEMA_VIOLATION,
            )


def _key(kind: str) -> str:
    return f"{kind}Probe"


def _probe(part: Part, kind: str, ports: Mapping[str, int]) -> Probe:
    command, http, tcp = part.part("exec"), part.part("httpGet"), part.part("tcpSocket")
    if sum(one is not None for one in (command, http, tcp)) != 1:
        raise Invalid(f"'{part.path}' needs exactly one of exec, httpGet and tcpSocket.", code=SCHEMA_VIOLATION)
    successes = part.take("successThreshold", _COUNT, 1)
    if kind != "readiness" and successes != 1:
        raise Invalid(
            f"'{part.at('successThreshold')}' must be 1: for {kind}, one success is enough.", code=SCHEMA_VIOLATION
        )
    probe = Probe(
        command=_command(command) if command is not None else [],
        http=_http(http, ports) if http is not None else None,
        tcp=_tcp(tcp, ports) if tcp is not None else 0,
        delay=part.take("initialDelaySeconds", _DELAY, 0),
        period=part.take("periodSeconds", _SECONDS, 10),
        timeout=part.take("timeoutSeconds", _SECONDS, 1),
        successes=successes,
        failures=part.take("failureThreshold", _COUNT, 3),
    )
    part.finish()
    return probe


def _command(part: Part) -> list[str]:
    words = part.need("command", _WORDS)
    if not words or not words[0]:
        raise Invalid(f"'{part.at('command')}' must name a command.", code=SCHEMA_VIOLATION)
    part.finish()
    return words


def _http(part: Part, ports: Mapping[str, int]) -> HttpGet:
    _refuse_host(part)
    headers = []
    for header in part.parts("httpHeaders"):
        headers.append((header.need("name", _HEADER), header.take("value", _HEADER_VALUE, "")))
        header.finish()
        if len(headers) > _MOST_HEADERS:
            raise Invalid(f"'{part.at('httpHeaders')}' has more than {_MOST_HEADERS} headers.", code=SCHEMA_VIOLATION)
    found = HttpGet(
        port=_port(part, ports),
        path=part.take("path", _PATH, "/"),
        tls=part.take("scheme", _SCHEME, "HTTP") == "HTTPS",
        headers=headers,
    )
    part.finish()
    return found


def _tcp(part: Part, ports: Mapping[str, int]) -> int:
    _refuse_host(part)
    port = _port(part, ports)
    part.finish()
    return port


def _refuse_host(part: Part) -> None:
    """A node asks nobody but the capsule itself: else whoever writes a template could make it talk to its own services, or to others'."""
    if part.has("host"):
        raise Invalid(
            f"'{part.at('host')}' is not taken: a probe asks the capsule's own address and no other host; leave it out "
            "(the name that an HTTP server expects goes into httpHeaders, as Host).",
            code=SCHEMA_VIOLATION,
        )


def _port(part: Part, ports: Mapping[str, int]) -> int:
    """A number, or the name of one of the container's ports."""

    def read(value: object) -> int:
        if isinstance(value, str) and value in ports:
            return ports[value]
        return _PORT.read(value)

    named = f", or the name of one of its container's ports ({', '.join(ports)})" if ports else ""
    unnamed = "" if ports else " (its container's ports have no names)"
    return part.need("port", Rule(read, f"{_PORT.allowed}{named}{unnamed}", _PORT.schema))


def _named_ports(container: Part) -> dict[str, int]:
    found: dict[str, int] = {}
    for port in container.parts("ports"):
        name = port.take("name", text(0, 255))
        if name:
            found.setdefault(name, port.need("containerPort", _PORT))
    return found
