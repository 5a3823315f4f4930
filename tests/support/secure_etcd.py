# SPDX-License-Identifier: Apache-2.0
"""A real etcd as the operator guide sets it up: with the files that `zund ca` issued, client certificates, and users."""

import http.client
import json
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from lab.ports import free_port
from support.etcd_server import START_SECONDS
from zun.pki import files, pem
from zun.pki.authority import utc
from zun.store.options import StoreOptions


class SecureEtcd:
    """One member, the authorities, and the control plane's state directory. Users are not on until somebody enables them.

    `open_to_nodes`: certificates of the main authority are let in, too, as in an installation whose nodes speak to etcd itself.
    `open_to_all`: clients need no certificate.
    """

    def __init__(self, directory: Path, *, open_to_nodes: bool = False, open_to_all: bool = False) -> None:
        self.directory = directory
        self._open_to_all = open_to_all
        self.state_dir = directory / "control"
        now = datetime.now(UTC)
        files.init_authorities(self.state_dir, now)
        self.authority = files.load_authority(self.state_dir)
        own = files.load_authority(self.state_dir, files.ETCD)
        here = ["127.0.0.1", "localhost"]
        files.issue_etcd(own, directory / "etcd", name="e1", hosts=here, now=now, days=30)
        files.issue_control(self.authority, own, self.state_dir, hosts=here, now=now, days=30)
        self.trusted = directory / "etcd" / ("both.pem" if open_to_nodes else "etcd-ca.pem")
        if open_to_nodes:
            files.write(self.trusted, (own.certificate_pem + self.authority.certificate_pem).encode())
        self.port, self.peer_port = free_port(), free_port()
        self.endpoint = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it is healthy."""
        own = self.directory / "etcd"
        client, peer = f"https://{self.endpoint}", f"https://127.0.0.1:{self.peer_port}"
        arguments = {
            "--name": "e1",
            "--data-dir": str(own / "data"),
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": peer,
            "--initial-advertise-peer-urls": peer,
            "--initial-cluster": f"e1={peer}",
            "--cert-file": str(own / "etcd.pem"),
            "--key-file": str(own / "etcd.key"),
            **({} if self._open_to_all else {"--trusted-ca-file": str(self.trusted)}),
            "--peer-cert-file": str(own / "etcd.pem"),
            "--peer-key-file": str(own / "etcd.key"),
            "--peer-trusted-ca-file": str(own / "etcd-ca.pem"),
            "--logger": "zap",
            "--log-level": "error",
        }
        words = [word for pair in arguments.items() for word in pair]
        with (own / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(shutil.which("etcd")), *words, "--peer-client-cert-auth", *self._manners()],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        control = self.control()
        while not self._is_well(control):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"etcd did not start: {(own / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def _manners(self) -> list[str]:
        return [] if self._open_to_all else ["--client-cert-auth"]

    def kill(self) -> None:
        """End it the hard way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def control(self) -> "Identity":
        """The control plane."""
        return Identity(self, self.state_dir / "store.pem", self.state_dir / "store.key")

    def identity(self, common_name: str, *hosts: str) -> "Identity":
        """Anybody with a certificate of the main authority."""
        key = pem.new_key()
        now = utc(time.time())
        certificate = self.authority.issue(key.public_key(), common_name, hosts=hosts, now=now, days=30)
        path = self.directory / f"{common_name}.pem"
        files.write(path, pem.key_to_pem(key) + pem.certificate_to_pem(certificate))
        return Identity(self, path, path)

    def _is_well(self, who: "Identity") -> bool:
        try:
            return bool(who.fetch("/health") == (200, b'{"health":"true"}'))
        except (OSError, http.client.HTTPException):
            return False


class Identity:
    """Somebody with a certificate."""

    def __init__(self, etcd: SecureEtcd, cert_file: Path, key_file: Path) -> None:
        self.etcd = etcd
        self.cert_file = cert_file
        self.key_file = key_file
        self.ca_file = etcd.state_dir / "etcd-ca.pem"

    def options(self) -> StoreOptions:
        """How our own client connects."""
        return StoreOptions("etcd", (self.etcd.endpoint,), str(self.ca_file), str(self.cert_file), str(self.key_file))

    def channel(self) -> grpc.aio.Channel:
        """A connection to etcd below our client."""
        credentials = grpc.ssl_channel_credentials(
            self.ca_file.read_bytes(), self.key_file.read_bytes(), self.cert_file.read_bytes()
        )
        return grpc.aio.secure_channel(self.etcd.endpoint, credentials)

    def fetch(self, path: str, body: dict[str, Any] | None = None, *, port: int = 0) -> tuple[int, bytes]:
        """A page of etcd's HTTP server. Raises `OSError`."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self.cert_file, self.key_file)
        connection = http.client.HTTPSConnection("127.0.0.1", port or self.etcd.port, context=context, timeout=5)
        try:
            sent = json.dumps(body) if body is not None else None
            connection.request("POST" if sent else "GET", path, sent)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()
