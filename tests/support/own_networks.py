# SPDX-License-Identifier: Apache-2.0
"""A service with networks of its own, on one engine or the other, in a namespace that stands for the machine's network."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support import docker_engine
from support.capsules import template
from support.containerd_engine import Containerd
from support.network_machine import Namespace
from support.service import eventually

ZUND = str(Path(sys.executable).with_name("zund"))
ZUNCTL = str(Path(sys.executable).with_name("zunctl"))
IMAGE = "zun.local/busybox:latest"


class OnDocker:
    """The machine's Docker, whose containers the daemon plugs into bridges of the namespace."""

    settings = cni_settings = ""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def left(self, owner: str) -> list[str]:
        """What it has of this service's."""
        return [one["Names"][0] for one in self._labelled(f"io.zun.owner={owner}")]

    def kill_sandbox(self, capsule: str) -> None:
        """End what holds a capsule together, behind the service's back."""
        (sandbox,) = self._labelled(f"io.zun.capsule={capsule}", "io.zun.sandbox")
        docker_engine.call("POST", f"/containers/{sandbox['Id']}/kill")

    def let_go(self) -> None:
        """Wait until what has ended has no sandbox any more: here a holder stays as long as its container."""

    def clear_away(self, owner: str) -> None:
        """Remove what a failed test left."""
        docker_engine.remove_owned(owner)

    def _labelled(self, *labels: str) -> list[dict[str, Any]]:
        _, said = docker_engine.call("GET", "/containers/json", all="1", filters=json.dumps({"label": labels}))
        return list(json.loads(said))


class OnContainerd:
    """A containerd of the tests' own, in the namespace."""

    def __init__(self, engine: Containerd, namespace: Namespace) -> None:
        self.namespace = namespace
        self._engine = engine
        self.settings = (
            f"[runtime]\ndriver = cri\n[cri]\nendpoint = {engine.endpoint}\ncgroup_parent = {engine.group}\n"
            "idle_sandbox_seconds = 0\nupkeep_seconds = 1\n"
        )
        self.cni_settings = f"bin_dir = {engine.bin_dir}\nconf_dir = {engine.conf_dir}\n"

    def left(self, owner: str) -> list[str]:
        """What it has at all: it is this service's alone."""
        del owner
        return [one for found in self._engine.leftovers().values() for one in found]

    def kill_sandbox(self, capsule: str) -> None:
        """End what holds a capsule together, behind the service's back."""
        wanted = f'labels."io.zun.capsule"=={capsule},labels."io.zun.sandbox"==1'
        (sandbox,) = self._engine.ctr("containers", "list", "--quiet", wanted).split()
        self._engine.ctr("tasks", "kill", "--signal", "SIGKILL", sandbox)

    def let_go(self) -> None:
        """Wait until what has ended has no sandbox any more."""
        eventually(lambda: not self._engine.leftovers()["network namespaces"], "idle sandboxes are let go of")

    def clear_away(self, owner: str) -> None:
        """Remove what a failed test left; the links go with their namespaces."""
        del owner
        self._engine.remove_unplugged()


class House:
    """`zund all`, with its network daemon in it or (`separate`) beside it."""

    def __init__(self, directory: Path, engine: OnDocker | OnContainerd, *, separate: bool = False) -> None:
        self.engine = engine
        self.namespace = engine.namespace
        self.state = directory / "state"
        self._directory = directory
        self._separate = separate
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        cni = f"[cni]\nsync_seconds = 1\nseparate = {str(separate).lower()}\n{engine.cni_settings}"
        quota = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\n"
        (directory / "zun.conf").write_text(f"[network]\ndriver = cni\n{cni}{quota}{engine.settings}")

    def start(self) -> None:
        if self._separate and "cni-daemon" not in self._processes:
            self.run("cni-daemon")
        self.run("all", "--listen", "127.0.0.1:0")

    def run(self, role: str, *options: str) -> None:
        """Start one of its processes; returns when it is ready."""
        log = self._directory / f"{role}.log"
        words = (role, "--state-dir", str(self.state), *options, "--config", str(self._directory / "zun.conf"))
        ready = "zund is ready" if role == "all" else f"zund {role} is ready"
        before = log.read_text().count(ready) if log.exists() else 0
        with log.open("a") as to:
            process = subprocess.Popen(
                self.namespace.command(ZUND, *words), stdin=subprocess.DEVNULL, stdout=to, stderr=to
            )
        self._processes[role] = process
        eventually(lambda: log.read_text().count(ready) > before or process.poll() is not None, f"{role} starts")
        assert process.poll() is None, log.read_text()

    def end(self, number: int, role: str = "all") -> None:
        process = self._processes.pop(role, None)
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=60)

    def asking(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """zunctl, at work."""
        quiet = subprocess.DEVNULL
        command = self.namespace.command(ZUNCTL, *arguments)
        return subprocess.Popen(command, env=self._environment(), stdin=quiet, stdout=quiet, stderr=quiet)

    def tried(self, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        """zunctl, when it has ended."""
        return subprocess.run(
            self.namespace.command(ZUNCTL, *arguments),
            env=self._environment(),
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def zunctl(self, *arguments: str, text: str = "") -> str:
        """What it says; it has to succeed."""
        done = self.tried(*arguments, text=text)
        logs = "".join(path.read_text()[-3000:] for path in self._directory.glob("*.log"))
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}{logs}"
        return done.stdout

    def show(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.zunctl("show", name, "-o", "json")))

    def until(self, name: str, status: str) -> dict[str, Any]:
        return dict(eventually(lambda: (found := self.show(name))["status"] == status and found, f"{name}: {status}"))

    def addresses(self, name: str) -> set[str]:
        return addresses_in(self.show(name))

    def make_capsule(self, name: str, *commands: list[str], **first: Any) -> None:
        self.zunctl("capsule", "create", "-f", "-", text=json.dumps(template(name, *commands, **first)))

    def capsule(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.zunctl("capsule", "show", name, "-o", "json")))

    def until_capsule(self, name: str, status: str) -> dict[str, Any]:
        return dict(
            eventually(
                lambda: (found := self.capsule(name))["status"] == status and found,
                f"{name}: {status}, is {self.capsule(name)}",
                seconds=60,
            )
        )

    def inside(self, capsule: str, number: int, *command: str) -> str:
        return self.zunctl("capsule", "exec", "-c", f"part-{number}", capsule, *command)

    def give_time(self, seconds: float) -> None:
        """Let it get on with its work, so that it is interrupted at another point."""
        time.sleep(seconds)

    def left(self) -> list[str]:
        """Links of ours, records of sandboxes, and what the engine has of ours."""
        found = [link["ifname"] for link in self.namespace.ip("link") if link["ifname"].startswith("zunv")]
        for folder in ("attachments", "bound"):
            path = self.state / "cni" / folder
            found += [one.name for one in path.iterdir()] if path.is_dir() else []
        return found + self.engine.left(self._owner())

    def close(self) -> None:
        self.end(signal.SIGTERM)
        self.end(signal.SIGTERM, "cni-daemon")
        self.engine.clear_away(self._owner())

    def _owner(self) -> str:
        return str(json.loads((self.state / "node.json").read_text())["owner"])

    def _environment(self) -> dict[str, str]:
        return os.environ | {"ZUN_STATE_DIR": str(self.state), "NO_COLOR": "1"}


def addresses_in(shown: dict[str, Any]) -> set[str]:
    """The addresses in a view."""
    return {one["addr"] for held in shown["addresses"].values() for one in held}
