# SPDX-License-Identifier: Apache-2.0
"""What tests ask of a Docker engine beside what the driver does: networks, pushed images, and cleaning up after themselves.

Spoken with the standard library, so that a driver's fault cannot hide in the checks.
"""

import base64
import http.client
import json
import random
import socket
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "/var/run/docker.sock"
NO_LOGIN = base64.urlsafe_b64encode(b"{}").decode()
_TRIES = 50


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(SOCKET)


def call(method: str, path: str, body: Any = None, **query: str) -> tuple[int, bytes]:
    """One request: status and body."""
    connection = _Connection("localhost")
    target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
    headers = {"Content-Type": "application/json", "X-Registry-Auth": NO_LOGIN}
    try:
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers() -> bool:
    """Whether an engine is there."""
    try:
        return call("GET", "/_ping")[0] == http.HTTPStatus.OK
    except OSError:
        return False


def make_network(name: str) -> str:
    """A network with a subnet that nobody uses; gives the first three octets of its addresses."""
    for _ in range(_TRIES):
        prefix = f"10.{random.randint(128, 254)}.{random.randint(0, 254)}"
        body = {"Name": name, "CheckDuplicate": True, "IPAM": {"Config": [{"Subnet": f"{prefix}.0/24"}]}}
        if call("POST", "/networks/create", body)[0] == http.HTTPStatus.CREATED:
            return prefix
    raise AssertionError("no free subnet was found for a test network")


def push(image: str, registry: str, path: str, tag: str) -> str:
    """Put a local image into a registry and forget the name here; gives its digest."""
    name = f"{registry}/{path}"
    status, said = call("POST", f"/images/{image}/tag", repo=name, tag=tag)
    assert status == http.HTTPStatus.CREATED, said
    status, said = call("POST", f"/images/{name}/push", tag=tag)
    digest = next((line["aux"]["Digest"] for line in map(json.loads, said.splitlines()) if "aux" in line), None)
    assert status == http.HTTPStatus.OK, said
    assert digest, said
    call("DELETE", f"/images/{name}:{tag}")
    return str(digest)


def remove_owned(owner: str) -> None:
    """Remove all containers with that owner's label."""
    filters = json.dumps({"label": [f"io.zun.owner={owner}"]})
    _, said = call("GET", "/containers/json", all="1", filters=filters)
    for container in json.loads(said):
        call("DELETE", f"/containers/{container['Id']}", force="1", v="1")


@contextmanager
def seen_made(owner: str) -> Iterator[dict[str, str]]:
    """What containers are made with that owner's label while the block runs: their ids, each with the file of the network namespace
    that it was seen to have, or "".
    """
    connection, found = _Connection("localhost"), {}
    filters = json.dumps({"type": ["container"], "event": ["create", "start"], "label": [f"io.zun.owner={owner}"]})
    connection.request("GET", f"/events?{urllib.parse.urlencode({'filters': filters})}")
    answer = connection.getresponse()
    connection.sock.settimeout(None)

    def listen() -> None:
        while line := answer.readline():
            made = str(json.loads(line)["Actor"]["ID"])
            found.setdefault(made, "")
            status, said = call("GET", f"/containers/{made}/json")
            if status == http.HTTPStatus.OK:
                found[made] = json.loads(said)["NetworkSettings"]["SandboxKey"] or found[made]

    listening = ThreadPoolExecutor(1).submit(listen)
    try:
        yield found
    finally:
        connection.sock.shutdown(socket.SHUT_RDWR)
        listening.exception(timeout=60)  # however its connection ended
        connection.close()


def remains(made: dict[str, str]) -> dict[str, list[str]]:
    """What the engine and the machine still have of such containers: empty lists when nothing. A virtual link goes with its namespace."""
    root = Path(json.loads(call("GET", "/info")[1])["DockerRootDir"])
    listed = {one["Id"] for one in json.loads(call("GET", "/containers/json", all="1")[1])}
    networks = json.loads(call("GET", "/networks")[1])
    plugged = {one for net in networks for one in json.loads(call("GET", f"/networks/{net['Id']}")[1])["Containers"]}
    groups = [path for where in ("", "*/") for path in Path("/sys/fs/cgroup").glob(f"{where}docker/*")]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    held = {
        Path(line.split()[1]).name for line in mounts if line.startswith("nsfs ")
    }  # their files the engine removes each minute
    commands = [_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    shims = [command for command in commands if "containerd-shim" in command]
    return {
        "containers": sorted(listed & set(made)),
        "directories": [one for one in made for kind in ("containers", "image/overlay2/layerdb/mounts") if (root / kind / one).exists()],
        "endpoints": sorted(plugged & set(made)),
        "network namespaces": [key for key in made.values() if key and Path(key).name in held],
        "control groups": [str(path) for path in groups if path.name in made],
        "mounts": [line for line in mounts if any(one in line for one in made)],
        "shims": [command for command in shims if any(one in command for one in made)],
    }  # fmt: skip


def _command(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""  # it has ended since
