# SPDX-License-Identifier: Apache-2.0
"""The foreign clients as tests use them: the two shells, and the library."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.service import Service

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".cache/compat-venv/bin"


class Host:
    """The process that has the clients loaded."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Have one job done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process of the foreign clients ended"
        return dict(json.loads(answer))


@contextmanager
def client_host() -> Iterator[Host]:
    """Runs while the block runs."""
    process = subprocess.Popen(
        [BIN / "python", Path(__file__).with_name("client_host.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root")},
    )
    try:
        yield Host(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that a person sees."""
        return self.out + self.err


# What the shells call differently; otherwise "action list" is `zun action-list` and `openstack appcontainer action list`.
OTHERWISE = {
    "zun": {
        "set": "update",
        "service forcedown": "service-force-down",
        "quota default": "quota-defaults",
        "image pull": "pull",
        "capsule show": "capsule-describe",
    },
    "openstack": {"capsule create": "", "capsule delete": "", "capsule list": "", "capsule show": ""},
}


@dataclass(frozen=True)
class Shell:
    """`zun` or `openstack`, logged in."""

    name: str
    host: Host
    environment: dict[str, str]
    directory: Path

    def spelled(self, command: str) -> list[str]:
        """The words of a command in this shell."""
        other = OTHERWISE[self.name].get(command)
        if self.name == "zun":
            return [other or command.replace(" ", "-")]
        return [*(["appcontainer"] if other is None else []), *command.split()]

    def __call__(self, command: str, *words: object, version: str = "") -> Said:
        """Run a command to its end."""
        out, err = self.directory / "out", self.directory / "err"
        out.write_bytes(b"")
        err.write_bytes(b"")
        job = {
            "kind": "shell",
            "shell": self.name,
            "words": [*self.spelled(command), *map(str, words)],
            "environment": self.environment | self.asking(version),
            "directory": str(self.directory),
            "out": str(out),
            "err": str(err),
        }
        code = self.host.ask(job)["code"]
        return Said(code, out.read_text(), err.read_text())

    def good(self, command: str, *words: object, version: str = "") -> str:
        """Run a command that must succeed; what it printed."""
        said = self(command, *words, version=version)
        assert said.code == 0, said
        assert "failed" not in said.text, said
        return said.out

    def commands(self) -> set[str]:
        """All commands that this shell has for containers."""
        if self.name == "openstack":
            return set(self.host.ask({"kind": "plugin"})["commands"])
        words = self.good("bash completion").split()
        return {word for word in words if not word.startswith("-")}

    def asking(self, version: str) -> dict[str, str]:
        """The environment variable that asks for a microversion."""
        if not version:
            return {}
        return {"ZUN_API_VERSION" if self.name == "zun" else "OS_CONTAINER_API_VERSION": version}


def environment(name: str, service: Service, keystone: str) -> dict[str, str]:
    """What logs a shell in. `openstack` takes the token as it is; `zun` knows only Keystone."""
    basic = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent", "TERM": "xterm", "COLUMNS": "400"}
    if name == "openstack":
        return basic | {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": f"{service.url}/v1", "OS_TOKEN": service.token}
    names = ("OS_USERNAME", "OS_PROJECT_NAME", "OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME")
    return basic | dict.fromkeys(names, "admin") | {"OS_AUTH_URL": keystone, "OS_PASSWORD": service.token}


@dataclass(frozen=True)
class Library:
    """python-zunclient as a library, with the token of the service's administrator."""

    host: Host
    service: Service

    def ask(self, method: str, *arguments: object, version: str = "1.40", **options: object) -> dict[str, Any]:
        """Call `containers.list` and the like: {"result": …} or {"error": class, "message": text}."""
        manager, _, name = method.partition(".")
        return self.host.ask(
            {
                "kind": "library",
                "version": version,
                "endpoint": f"{self.service.url}/v1",
                "token": self.service.token,
                "manager": manager,
                "method": name,
                "arguments": arguments,
                "options": {key: _carried(value) for key, value in options.items()},
            }
        )

    def __call__(self, method: str, *arguments: object, version: str = "1.40", **options: object) -> Any:
        """Call a method that must succeed; its result as JSON has it."""
        answer = self.ask(method, *arguments, version=version, **options)
        assert "error" not in answer, answer
        return answer["result"]


def _carried(value: object) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
