# SPDX-License-Identifier: Apache-2.0
"""What people type on a command line, turned into the values of a request.

Pure text: an option that names a local file (a bind mount) keeps its path here; the command line reads the file.
Errors are `ValueError` with a sentence for the person.
"""

import re
import shlex
from typing import Any

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_SIZES = {"": 1, "m": 1, "g": 1024}


def last(texts: list[str]) -> str:
    """The last one given counts."""
    return texts[-1]


def number(texts: list[str]) -> int:
    """A whole number."""
    try:
        return int(texts[-1])
    except ValueError as error:
        raise ValueError(f"{texts[-1]!r} is no whole number.") from error


def mebibytes(texts: list[str]) -> str:
    """Memory: MiB, or with the suffix `m` or `g`."""
    match = re.fullmatch(r"(\d+)([mMgG]?)[bB]?", texts[-1])
    if not match:
        raise ValueError(f"{texts[-1]!r} is no amount of memory; write 512, 512m or 2g.")
    return str(int(match[1]) * _SIZES[match[2].lower()])


def pull_policy(texts: list[str]) -> str:
    """Docker's word for `ifnotpresent` is `missing`."""
    return "ifnotpresent" if texts[-1].lower() == "missing" else texts[-1]


def words(texts: list[str]) -> list[str]:
    """One text split as a shell does."""
    return shlex.split(texts[-1])


def pairs(texts: list[str]) -> dict[str, str]:
    """`KEY=VALUE`, each once; the last of a repeated key counts."""
    found = {}
    for written in texts:
        key, equals, value = written.partition("=")
        if not equals or not key:
            raise ValueError(f"{written!r} is not of the form KEY=VALUE.")
        found[key] = value
    return found


def restart_policy(texts: list[str]) -> dict[str, str]:
    """`NAME[:RETRIES]`."""
    name, _, count = texts[-1].partition(":")
    return {"Name": name, "MaximumRetryCount": count or "0"}


def settings(written: str, known: tuple[str, ...]) -> dict[str, str]:
    """`key=value,key=value` with known keys only."""
    found = {}
    for part in written.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in known:
            raise ValueError(f"{part!r} is not of the form KEY=VALUE with a key out of {', '.join(known)}.")
        found[key] = value
    return found


def health_check(texts: list[str]) -> dict[str, Any]:
    """`cmd=…,interval=10s,retries=3,timeout=5s`; the command may hold commas."""
    known = r"(?:cmd|interval|retries|timeout)="
    found: dict[str, Any] = {}
    for part in re.split(rf",(?={known})", texts[-1]):
        found |= {part.partition("=")[0]: part.partition("=")[2]} if re.match(known, part) else settings(part, ("cmd",))
    for key in ("interval", "timeout", "retries"):
        if key in found:
            match = re.fullmatch(r"(\d+)([smh]?)", found[key])
            if not match:
                raise ValueError(f"{key}={found[key]!r} is no time; write 30, 30s, 5m or 1h.")
            found[key] = int(match[1]) * _UNITS[match[2]]
    return found


def exposed_ports(texts: list[str]) -> dict[str, dict[str, str]]:
    """`PORT[/PROTOCOL]`."""
    return {written: {} for written in texts}


_PUBLISHED = re.compile(r"(?:([0-9]*):)?([0-9]+)(?:/([a-z]+))?")


def published_ports(texts: list[str]) -> list[dict[str, Any]]:
    """`[HOSTPORT:]PORT[/PROTOCOL]`, as Docker has it, without addresses: which one of its own a node publishes on, its operator says."""
    found = []
    for written in texts:
        match = _PUBLISHED.fullmatch(written)
        if not match:
            raise ValueError(f"{written!r} is not of the form [HOSTPORT:]PORT[/PROTOCOL], such as 8080:80 or 53/udp.")
        one: dict[str, Any] = {"port": int(match[2])}
        if match[3]:
            one["protocol"] = match[3]
        if match[1]:
            one["host_port"] = int(match[1])
        found.append(one)
    return found


def nets(texts: list[str]) -> list[dict[str, str]]:
    """`NAME`, or `network=…|port=…[,v4-fixed-ip=…][,v6-fixed-ip=…]`."""
    known = ("network", "port", "v4-fixed-ip", "v6-fixed-ip")
    return [settings(written, known) if "=" in written else {"network": written} for written in texts]


def mounts(texts: list[str]) -> list[dict[str, str]]:
    """`VOLUME:/PATH`, or `source=…,destination=…[,size=…][,type=volume|bind]`."""
    found = []
    for written in texts:
        source, colon, destination = written.partition(":")
        if colon and "=" not in written:
            found.append({"source": source, "destination": destination})
        else:
            found.append(settings(written, ("source", "destination", "size", "type")))
    return found
