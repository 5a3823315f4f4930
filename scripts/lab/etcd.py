# SPDX-License-Identifier: Apache-2.0
"""The store's machines: three members of one etcd, with certificates for clients and among themselves."""

import shutil

from lab.certificates import Authority
from lab.hosts import with_role
from lab.machine import Machine
from lab.processes import Process, get

CLIENT_PORT, PEER_PORT, METRICS_PORT = 2379, 2380, 2381
_FOLDER = "/etc/etcd"
_OK = 200


def endpoints() -> list[str]:
    """Give the addresses clients use, host:port."""
    return [f"{host.address}:{CLIENT_PORT}" for host in with_role("etcd")]


def furnish(machine: Machine, authority: Authority) -> None:
    """Put certificates on a member's disk, before it is switched on."""
    certificate, key = authority.issue(f"etcd-{machine.name}", [machine.name, machine.host.address, "127.0.0.1"])
    for source, name in ((certificate, "server.pem"), (key, "server.key"), (authority.certificate, "ca.pem")):
        machine.write(f"{_FOLDER}/{name}", source.read_text())
    machine.disk("etcd").mkdir(parents=True, exist_ok=True, mode=0o700)


def processes(machine: Machine) -> list[Process]:
    """Give what runs on a member: etcd, configured by its environment as Debian's service is."""
    client, peer = (f"https://{machine.host.address}:{port}" for port in (CLIENT_PORT, PEER_PORT))
    members = ",".join(f"{host.name}=https://{host.address}:{PEER_PORT}" for host in with_role("etcd"))
    pair = {"CERT_FILE": "server.pem", "KEY_FILE": "server.key", "TRUSTED_CA_FILE": "ca.pem"}
    settings = {
        "NAME": machine.name,
        "DATA_DIR": "/var/lib/etcd",
        "LISTEN_CLIENT_URLS": client,
        "ADVERTISE_CLIENT_URLS": client,
        "LISTEN_PEER_URLS": peer,
        "INITIAL_ADVERTISE_PEER_URLS": peer,
        "INITIAL_CLUSTER": members,
        "INITIAL_CLUSTER_TOKEN": "zun-cluster",
        "CLIENT_CERT_AUTH": "true",
        "PEER_CLIENT_CERT_AUTH": "true",
        **{name: f"{_FOLDER}/{file}" for name, file in pair.items()},
        **{f"PEER_{name}": f"{_FOLDER}/{file}" for name, file in pair.items()},
        "LISTEN_METRICS_URLS": f"http://127.0.0.1:{METRICS_PORT}",
        "LOGGER": "zap",
        "LOG_LEVEL": "warn",
    }
    return [
        Process(
            "etcd",
            [shutil.which("etcd") or "etcd"],
            ready=lambda: healthy(machine),
            environment={f"ETCD_{name}": value for name, value in settings.items()},
        )
    ]


def healthy(machine: Machine) -> bool:
    """Whether the member answers and is part of a majority."""
    status, body = get(lambda timeout: machine.connect(METRICS_PORT, timeout, "127.0.0.1"), "/health")
    return status == _OK and body.startswith(b'{"health":"true"')
