# SPDX-License-Identifier: Apache-2.0
"""The way to the store for processes that speak to an etcd on loopback without encryption: TLS with a certificate from there on."""

from lab import balancer, etcd
from lab.certificates import Authority
from lab.machine import Machine
from lab.processes import Process

_FOLDER = "/etc/store-tunnel"
_CONFIGURATION = """\
global
    log stdout format raw local0 warning
defaults
    mode tcp
    log global
    timeout connect 2s
    timeout client 24h
    timeout server 24h
    option redispatch 1
    option srvtcpka
    srvtcpka-idle 5s
    srvtcpka-intvl 2s
    srvtcpka-cnt 3
listen etcd
    bind 127.0.0.1:{port}
    default-server check inter 1s fastinter 500ms fall 2 rise 1 tcp-ut 5s on-marked-down shutdown-sessions
    default-server ssl verify required ca-file {folder}/ca.pem crt {folder}/client.pem alpn h2
{servers}
"""


def furnish(machine: Machine, authority: Authority) -> None:
    """Put certificate and configuration on the machine, before it is switched on."""
    certificate, key = authority.issue("zun-control", [machine.name])
    machine.write(f"{_FOLDER}/client.pem", certificate.read_text() + key.read_text())
    machine.write(f"{_FOLDER}/ca.pem", authority.certificate.read_text())
    servers = "\n".join(f"    server etcd{n} {endpoint}" for n, endpoint in enumerate(etcd.endpoints(), 1))
    text = _CONFIGURATION.format(port=etcd.CLIENT_PORT, folder=_FOLDER, servers=servers)
    machine.write(f"{_FOLDER}/haproxy.cfg", text)


def processes(machine: Machine) -> list[Process]:
    """Give the tunnel."""
    argv = [balancer.program(), "-db", "-f", f"{_FOLDER}/haproxy.cfg"]
    return [Process("tunnel", argv, ready=lambda: _listens(machine))]


def _listens(machine: Machine) -> bool:
    try:
        machine.connect(etcd.CLIENT_PORT, 1, "127.0.0.1").close()
    except OSError:
        return False
    return True
