# SPDX-License-Identifier: Apache-2.0
"""The service itself: API, controller and gate on each control machine, an agent on each node, which joins with a token."""

import json
import shutil
import sys
from pathlib import Path

from lab import etcd
from lab.authorities import ZUND
from lab.hosts import API_PORT, GATE_PORT, STREAM_PORT, with_role
from lab.machine import Machine
from lab.processes import Process, get

ZUNCTL = Path(sys.executable).with_name("zunctl")
SETTINGS = "/etc/zun.conf"
LOCAL = "local.json"
SECRETS = ("master.key", "tokens.json", LOCAL)  # what all control machines must have alike
_STATE = "/var/lib/zun"
_INVITATION = "join-token"
_OK = 200


def furnish(machine: Machine, runtime: str, settings: str) -> None:
    """Write the service's configuration, before the machine is switched on; `settings` comes at its end."""
    text = _node_settings(machine, runtime) if machine.host.role == "node" else _control_settings()
    machine.write(SETTINGS, f"{text}\n{settings}")


def _node_settings(machine: Machine, runtime: str) -> str:
    return f"[runtime]\ndriver = {runtime}\n\n[compute]\nstream_listen = {machine.host.address}:{STREAM_PORT}\n"


def _control_settings() -> str:
    (balancer,) = with_role("balancer")
    gates = ",".join(f"{host.address}:{GATE_PORT}" for host in with_role("control"))
    return (
        f"[api]\ntrusted_proxies = {balancer.address}/32\n\n"
        f"[store]\ndriver = etcd\nendpoints = {','.join(etcd.endpoints())}\nca_file = {_STATE}/etcd-ca.pem\n"
        f"cert_file = {_STATE}/store.pem\nkey_file = {_STATE}/store.key\n\n"
        f"[join]\nendpoints = {gates}\napi_urls = http://{balancer.address}:{API_PORT}\n"
    )


def processes(machine: Machine) -> list[Process]:
    """Give what the machine runs of the service."""
    if machine.host.role == "node":
        return [Process("compute", [*_zund("compute"), *_joining(machine)], says="zund compute is ready")]
    address = machine.host.address
    return [
        Process("api", [*_zund("api"), "--listen", f"{address}:{API_PORT}"], ready=lambda: serves(machine)),
        Process("controller", _zund("controller"), says="zund controller is ready"),
        Process("gate", [*_zund("gate"), "--listen", f"{address}:{GATE_PORT}"], says="zund gate is ready"),
    ]


def let_etcd_check(first: Machine) -> None:
    """Let etcd check who its clients are; may be repeated."""
    first.run(*_zund("etcd", "init"))


def share_secrets(first: Machine, other: Machine) -> None:
    """Give a control machine what the first one has made at its first start."""
    for name in SECRETS:
        shutil.copy2(first.disk("zun") / name, other.disk("zun") / name)


def invite(first: Machine, node: Machine) -> None:
    """Have a token with which the machine becomes the node of its name, unless it was invited before."""
    token = node.directory / _INVITATION
    if not token.exists():
        words = first.run(ZUNCTL, "node", "token", "--name", node.name).split()
        token.touch(mode=0o600)
        token.write_text(words[-1])


def serves(machine: Machine) -> bool:
    """Whether the machine's API server is well."""
    return get(lambda timeout: machine.connect(API_PORT, timeout), "/healthcheck")[0] == _OK


def write_access(first: Machine, directory: Path, url: str) -> None:
    """Let zunctl in through the balancer, with `directory` as its state directory: ZUN_STATE_DIR=… zunctl."""
    access = json.loads((first.disk("zun") / LOCAL).read_text()) | {"url": url}
    path = directory / LOCAL
    path.touch(mode=0o600)
    path.write_text(json.dumps(access))


def _zund(*words: str) -> list[str]:
    return [str(ZUND), *words, "--config", SETTINGS]


def _joining(machine: Machine) -> list[str]:
    """The token stays in the command, as in a unit file: who has joined with it goes on without asking."""
    token = machine.directory / _INVITATION
    return ["--join", token.read_text()] if token.exists() else []
