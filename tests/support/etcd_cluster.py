# SPDX-License-Identifier: Apache-2.0
"""A real etcd cluster for tests: several members on loopback, with TLS and users if wanted, that can be killed, frozen and cut off.

    with EtcdCluster(tmp_path, auth=True) as cluster:
        store = await EtcdStore.connect(cluster.client_options(), SystemClock())
        cluster.kill(cluster.leader())

Members are numbers from 0. Everything is gone when the context ends.
"""

import http.client
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from lab.ports import free_port
from support.etcd_certificates import Authority
from support.links import OTHERS, Links
from zun.store.options import StoreOptions

START_SECONDS = 60.0
CONTROL = "zun-control"
"""The user (with the role `root`) that tests are unless they say otherwise."""


class EtcdCluster:
    """The cluster. `endpoints` lead to the members directly, `far_endpoints` over links that `cut_off` can cut.

    With `auth`, etcd's users are on: `root` and `zun-control`, both with the role root; a certificate's common name is the user.
    `host` is the loopback address for clients; `arguments` go to every member as they are.
    """

    def __init__(
        self,
        directory: Path,
        size: int = 3,
        *,
        tls: bool = True,
        auth: bool = False,
        quota_bytes: int = 0,
        host: str = "127.0.0.1",
        arguments: Iterable[str] = (),
    ) -> None:
        self._directory = directory
        self._auth = auth
        self._arguments = [*arguments, *(["--quota-backend-bytes", str(quota_bytes)] if quota_bytes else [])]
        self.authority = Authority(directory / "certificates") if tls else None
        self._members = [_Member(directory / f"etcd-{n}", f"etcd-{n}", host, self.authority) for n in range(size)]
        self._links = Links(self._name_of)
        for member in self._members:
            member.peer_link = self._links.add(member.peer_port, member.name)
            member.client_link = self._links.add(member.client_port, member.name)
        self.endpoints = tuple(f"{host}:{member.client_port}" for member in self._members)
        self.far_endpoints = tuple(f"127.0.0.1:{member.client_link}" for member in self._members)

    @property
    def pids(self) -> list[int]:
        """The processes that run."""
        return [member.process.pid for member in self._members if member.process is not None]

    def __enter__(self) -> "EtcdCluster":
        self.start_all()
        if self._auth:
            self._enable_auth()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in range(len(self._members)):
            self.kill(number)
        self._links.close()

    def client_options(
        self, user: str = CONTROL, *, far: bool = False, endpoints: Iterable[str] | None = None
    ) -> StoreOptions:
        """How `user` connects: to `endpoints` when given, else to all members (over links that can be cut when `far`)."""
        chosen = tuple(endpoints) if endpoints is not None else self.far_endpoints if far else self.endpoints
        if self.authority is None:
            return StoreOptions("etcd", chosen)
        mine = self.authority.issue(user, file=f"user-{user}")
        return StoreOptions("etcd", chosen, str(self.authority.ca_file), str(mine.cert_file), str(mine.key_file))

    def start_all(self) -> None:
        """Start all members that do not run, and wait until they are a healthy cluster."""
        for number in range(len(self._members)):
            self.start(number, wait=False)
        for member in self._members:
            member.wait_until_healthy()

    def start(self, number: int, *, wait: bool = True) -> None:
        """Start a member (again) and wait until it is healthy, which takes a majority."""
        member = self._members[number]
        if member.process is None:
            member.start(self._cluster(), self._arguments)
        if wait:
            member.wait_until_healthy()

    def kill(self, number: int) -> None:
        """End a member the hard way (frozen or not); its data stays."""
        self._members[number].kill()

    def kill_all(self) -> None:
        """End every member the hard way."""
        for number in range(len(self._members)):
            self.kill(number)

    def freeze(self, number: int) -> None:
        """Stop a member's process: its connections stay open and nothing answers."""
        self._members[number].signal(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let a frozen member go on."""
        self._members[number].signal(signal.SIGCONT)

    def cut_off(self, number: int, *, peers: bool = True, clients: bool = False) -> None:
        """Nothing passes between the member and the others (`peers`), nor over its `far_endpoints` (`clients`)."""
        name = self._members[number].name
        for other in self._members:
            if peers and other.name != name:
                self._links.cut(name, other.name)
        if clients:
            self._links.cut(name, OTHERS)

    def join_again(self, number: int) -> None:
        """Undo `cut_off`."""
        for other in self._members:
            if other is not self._members[number]:
                self._links.mend(self._members[number].name, other.name)
        self._links.mend(self._members[number].name, OTHERS)

    def leader(self) -> int:
        """The member that leads. Waits for an election; members that do not answer (dead, frozen) are not asked."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for number, member in enumerate(self._members):
                if member.process is not None and not member.frozen and member.leads():
                    return number
            time.sleep(0.05)
        raise RuntimeError("The cluster has no leader.")

    def follower(self) -> int:
        """A member that does not lead."""
        leader = self.leader()
        return next(number for number in range(len(self._members)) if number != leader)

    def etcdctl(self, *words: str, user: str = "root", endpoints: Iterable[str] | None = None) -> str:
        """What etcdctl answers to a command. Raises `subprocess.CalledProcessError`."""
        options = self.client_options(user, endpoints=endpoints)
        command = [_program("etcdctl"), f"--endpoints={','.join(options.endpoints)}"]
        if self.authority is not None:
            command += [f"--cacert={options.ca_file}", f"--cert={options.cert_file}", f"--key={options.key_file}"]
        done = subprocess.run(
            [*command, *words], env={"ETCDCTL_API": "3"}, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout

    def backup(self, file: Path) -> None:
        """Save what is stored."""
        self.etcdctl("snapshot", "save", str(file), endpoints=self.endpoints[:1])

    def restore(self, file: Path, *, token: str = "etcd-cluster") -> None:
        """Begin anew with what was saved. With another `token` it is another cluster, as etcd's documentation advises."""
        self.kill_all()
        for member in self._members:
            member.restore(file, self._cluster(), token)
        self.start_all()

    def log(self, number: int) -> str:
        """What a member wrote so far."""
        return (self._directory / f"etcd-{number}" / "log").read_text(encoding="utf-8", errors="replace")

    def _cluster(self) -> str:
        return ",".join(f"{member.name}={member.peer_url}" for member in self._members)

    def _name_of(self, pid: int) -> str | None:
        for member in self._members:
            if member.process is not None and member.process.pid == pid:
                return member.name
        return None

    def _enable_auth(self) -> None:
        for user in ("root", CONTROL):
            self.etcdctl("user", "add", user, "--no-password")
            self.etcdctl("user", "grant-role", user, "root")
        self.etcdctl("auth", "enable")


class _Member:
    """One process."""

    def __init__(self, directory: Path, name: str, host: str, authority: Authority | None) -> None:
        directory.mkdir(parents=True)
        self.name = name
        self.client_port, self.peer_port = free_port(), free_port()
        self.peer_link = self.client_link = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.frozen = False
        self._directory = directory
        self._host = host
        self._ca = authority.ca_file if authority else None
        self._certificate = authority.issue(name) if authority else None
        self._scheme = "https" if authority else "http"

    @property
    def peer_url(self) -> str:
        """Where the other members reach it."""
        return f"{self._scheme}://127.0.0.1:{self.peer_link}"

    def start(self, cluster: str, more: list[str]) -> None:
        """Start the process."""
        client = f"{self._scheme}://{self._host}:{self.client_port}"
        arguments = {
            "--name": self.name,
            "--data-dir": str(self._directory / "data"),
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": f"{self._scheme}://127.0.0.1:{self.peer_port}",
            "--initial-advertise-peer-urls": self.peer_url,
            "--initial-cluster": cluster,
            "--log-level": "warn",
            "--logger": "zap",
        }
        if self._certificate is not None:
            for kind in ("", "peer-"):
                arguments[f"--{kind}cert-file"] = str(self._certificate.cert_file)
                arguments[f"--{kind}key-file"] = str(self._certificate.key_file)
                arguments[f"--{kind}trusted-ca-file"] = str(self._ca)
        words = [word for pair in arguments.items() for word in pair]
        if self._certificate is not None:
            words += ["--client-cert-auth", "--peer-client-cert-auth"]
        with (self._directory / "log").open("ab") as log:
            self.process = subprocess.Popen([_program("etcd"), *words, *more], stdout=log, stderr=log)

    def restore(self, file: Path, cluster: str, token: str) -> None:
        """Make the data directory from a backup."""
        shutil.rmtree(self._directory / "data")
        arguments = {
            "--name": self.name,
            "--data-dir": str(self._directory / "data"),
            "--initial-cluster": cluster,
            "--initial-cluster-token": token,
            "--initial-advertise-peer-urls": self.peer_url,
        }
        words = [
            _program("etcdctl"),
            "snapshot",
            "restore",
            str(file),
            *(f"{key}={arguments[key]}" for key in arguments),
        ]
        subprocess.run(words, env={"ETCDCTL_API": "3"}, check=True, capture_output=True, timeout=60)

    def wait_until_healthy(self) -> None:
        """Return when it serves writes as a part of a cluster with a leader."""
        deadline = time.monotonic() + START_SECONDS
        while not self._fetch("/health").startswith('{"health":"true"'):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                log = (self._directory / "log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{self.name} is not healthy: {log[-2000:]}")
            time.sleep(0.02)

    def leads(self) -> bool:
        """Whether it takes itself for the leader."""
        return "\netcd_server_is_leader 1\n" in self._fetch("/metrics")

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=START_SECONDS)
            self.process, self.frozen = None, False

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT."""
        if self.process is None:
            raise RuntimeError(f"{self.name} does not run.")
        self.process.send_signal(number)
        self.frozen = number is signal.SIGSTOP

    def _fetch(self, path: str) -> str:
        """A page it serves, "" when it serves none."""
        if self._certificate is None:
            connection = http.client.HTTPConnection(self._host.strip("[]"), self.client_port, timeout=2)
        else:
            context = ssl.create_default_context(cafile=str(self._ca))
            context.load_cert_chain(self._certificate.cert_file, self._certificate.key_file)
            connection = http.client.HTTPSConnection(
                self._host.strip("[]"), self.client_port, timeout=2, context=context
            )
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed; run scripts/ensure-etcd.")
    return found
