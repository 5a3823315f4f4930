# SPDX-License-Identifier: Apache-2.0
"""The service itself: API and controller on each control machine, an agent on each node."""

import json
import shutil
import sys
from pathlib import Path

from lab.certificates import Authority
from lab.hosts import API_PORT, HOSTS, STREAM_PORT
from lab.machine import Machine
from lab.processes import Process, get

ZUND = Path(sys.executable).with_name("zund")
SETTINGS = "/etc/zun.conf"
LOCAL = "local.json"
SECRETS = ("master.key", "tokens.json", LOCAL)  # what all control machines must have alike
_OK = 200


def furnish(machine: Machine, authority: Authority, runtime: str, settings: str) -> None:
    """Write the service's configuration and certificate, before the machine is switched on; `settings` comes at the configuration's end."""
    _furnish_certificate(machine, authority)
    balancers = ",".join(f"{host.address}/32" for host in HOSTS if host.role == "balancer")
    text = (
        f"[store]\ndriver = etcd\n\n[api]\ntrusted_proxies = {balancers}\n\n[runtime]\ndriver = {runtime}\n\n"
        f"[compute]\nstream_listen = {machine.host.address}:{STREAM_PORT}\n\n{settings}"
    )
    machine.write(SETTINGS, text)


def processes(machine: Machine) -> list[Process]:
    """Give what the machine runs of the service."""
    if machine.host.role == "node":
        return [Process("compute", _zund("compute"), says="zund compute is ready")]
    listen = f"{machine.host.address}:{API_PORT}"
    return [
        Process("api", [*_zund("api"), "--listen", listen], ready=lambda: serves(machine)),
        Process("controller", _zund("controller"), says="zund controller is ready"),
    ]


def share_secrets(first: Machine, other: Machine) -> None:
    """Give a control machine what the first one has made at its first start."""
    other.disk("zun").mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in SECRETS:
        shutil.copy2(first.disk("zun") / name, other.disk("zun") / name)


def serves(machine: Machine) -> bool:
    """Whether the machine's API server is well."""
    return get(lambda timeout: machine.connect(API_PORT, timeout), "/healthcheck")[0] == _OK


def write_access(first: Machine, directory: Path, url: str) -> None:
    """Let zunctl in through the balancer, with `directory` as its state directory: ZUN_STATE_DIR=… zunctl."""
    access = json.loads((first.disk("zun") / LOCAL).read_text()) | {"url": url}
    path = directory / LOCAL
    path.touch(mode=0o600)
    path.write_text(json.dumps(access))


def _zund(role: str) -> list[str]:
    return [str(ZUND), role, "--config", SETTINGS, "--state-dir", "/var/lib/zun"]


def _furnish_certificate(machine: Machine, authority: Authority) -> None:
    """Streams between machines want one, in the state directory."""
    is_node = machine.host.role == "node"
    name = f"node-{machine.name}" if is_node else "zun-control"
    certificate, key = (path.read_text() for path in authority.issue(name, [name]))
    files = {"node.pem": key + certificate} if is_node else {"control.pem": certificate, "control.key": key}
    state = machine.disk("zun")
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, content in {"ca.pem": authority.certificate.read_text(), **files}.items():
        (state / file).touch(mode=0o600)
        (state / file).write_text(content)
