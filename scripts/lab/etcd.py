# SPDX-License-Identifier: Apache-2.0
"""The store's machines: three members of one etcd, with certificates for clients and among themselves."""

import shutil

from lab.authorities import ETCD_FOLDER
from lab.hosts import with_role
from lab.machine import Machine
from lab.processes import Process, get

CLIENT_PORT, PEER_PORT, METRICS_PORT = 2379, 2380, 2381
_DISK = "/var/lib/etcd"
_OK = 200


def endpoints() -> list[str]:
    """Give the addresses clients use, host:port."""
    return [f"{host.address}:{CLIENT_PORT}" for host in with_role("etcd")]


def processes(machine: Machine) -> list[Process]:
    """Give what runs on a member: etcd, configured by its environment as Debian's service is."""
    client, peer = (f"https://{machine.host.address}:{port}" for port in (CLIENT_PORT, PEER_PORT))
    members = ",".join(f"{host.name}=https://{host.address}:{PEER_PORT}" for host in with_role("etcd"))
    files = {"CERT_FILE": "etcd.pem", "KEY_FILE": "etcd.key", "TRUSTED_CA_FILE": "etcd-ca.pem"}
    pair = {name: f"{_DISK}/{ETCD_FOLDER}/{file}" for name, file in files.items()}
    settings = {
        "NAME": machine.name,
        "DATA_DIR": f"{_DISK}/default",
        "LISTEN_CLIENT_URLS": client,
        "ADVERTISE_CLIENT_URLS": client,
        "LISTEN_PEER_URLS": peer,
        "INITIAL_ADVERTISE_PEER_URLS": peer,
        "INITIAL_CLUSTER": members,
        "INITIAL_CLUSTER_TOKEN": "zun-cluster",
        "CLIENT_CERT_AUTH": "true",
        "PEER_CLIENT_CERT_AUTH": "true",
        **pair,
        **{f"PEER_{name}": path for name, path in pair.items()},
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
