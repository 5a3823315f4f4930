# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' side of capsules: a node of its that runs pods as capsules, and a controller that keeps so many of one kind there.

What is sent, asked and read is what the virtual kubelet's provider for Zun does (`plainly`): it knows images, commands, environments, requests
and nothing else. `fully` is what one could send that knows all that capsules are able to do.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

import httpx

from support.service import eventually

Pod = dict[str, Any]
Mapping = Callable[[Pod, str], dict[str, Any]]

PHASES = {
    "Running": "Running",
    "Stopped": "Succeeded",
    **dict.fromkeys(("Error", "Dead"), "Failed"),
    **dict.fromkeys(
        ("Creating", "Created", "Restarting", "Rebuilding", "Paused", "Deleting", "Deleted"), "Pending"
    ),
}  # fmt: skip
"""What the provider takes the statuses of capsules and containers for; all others are unknown to it."""

_DELETION_SECONDS = 300
_UNITS = {"Mi": 1, "Gi": 1024}


def pod(name: str, *containers: dict[str, Any], namespace: str = "default", **spec: Any) -> Pod:
    """A pod's manifest."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-of-{name}",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": list(containers), **spec}}


def called(namespace: str, name: str) -> str:
    """The capsule's name."""
    return f"{namespace}-{name}"


def plainly(wanted: Pod, node: str) -> dict[str, Any]:
    """The template that the provider makes of a pod."""
    meta = wanted["metadata"]
    return {
        "kind": "capsule",
        "metadata": {
            "name": called(meta["namespace"], meta["name"]),
            "labels": {
                "PodName": meta["name"],
                "ClusterName": "",
                "NodeName": node,
                "Namespace": meta["namespace"],
                "UID": meta["uid"],
                "CreationTimestamp": meta["creationTimestamp"],
            },
        },
        "spec": {"containers": [_plain_container(one) for one in wanted["spec"]["containers"]]},
    }


def _plain_container(container: dict[str, Any]) -> dict[str, Any]:
    requests = container.get("resources", {}).get("requests", {})
    told: dict[str, Any] = {
        "image": container["image"],
        "env": {one["name"]: one.get("value", "") for one in container.get("env", ())},
        "resources": {"requests": _numbers(requests)} if requests else {},
    }
    command = [*container.get("command", ()), *container.get("args", ())]
    others = {
        "command": command,
        "workDir": container.get("workingDir"),
        "imagePullPolicy": container.get("imagePullPolicy"),
    }
    return told | {key: value for key, value in others.items() if value}


def _numbers(requests: dict[str, str]) -> dict[str, float]:
    """In cores and MiB, as numbers."""
    told: dict[str, float] = {}
    if "cpu" in requests:
        cpu = requests["cpu"]
        told["cpu"] = int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    if "memory" in requests:
        told["memory"] = int(requests["memory"][:-2]) * _UNITS[requests["memory"][-2:]]
    return told


def fully(wanted: Pod, node: str) -> dict[str, Any]:
    """With all of a pod that capsules may know; what they do not is passed on as it is, for the service to say so."""
    template = plainly(wanted, node)
    spec = wanted["spec"]
    passed_on = ("restartPolicy", "terminationGracePeriodSeconds", "volumes")
    template["spec"] |= {key: spec[key] for key in passed_on if key in spec}
    for kind in ("containers", "initContainers"):
        if kind in spec:
            template["spec"][kind] = [_full_container(one) for one in spec[kind]]
    return template


def _full_container(container: dict[str, Any]) -> dict[str, Any]:
    same = ("name", "ports", "resources", "volumeMounts", "securityContext")
    return _plain_container(container) | {key: container[key] for key in same if key in container}


@dataclass(frozen=True)
class Part:
    """A container of a pod."""

    phase: str
    cpu: float
    memory_mib: int
    started_at: datetime | None
    uuid: str
    exit_code: int | None


@dataclass(frozen=True)
class PodStatus:
    """How a pod is."""

    phase: str
    address: str
    uid: str
    parts: list[Part]


class Kubelet:
    """One node of a cluster, whose pods are capsules of a project."""

    def __init__(self, http: httpx.Client, node: str, mapping: Mapping = plainly) -> None:
        self.http = http
        self.node = node
        self._mapping = mapping

    def submit(self, wanted: Pod) -> httpx.Response:
        """Ask for a pod; the answer."""
        return self.http.post("/v1/capsules", json={"template": json.dumps(self._mapping(wanted, self.node))})

    def create(self, wanted: Pod) -> None:
        """The same where it must be accepted."""
        answer = self.submit(wanted)
        assert answer.status_code == 202, answer.text

    def status(self, name: str, namespace: str = "default") -> PodStatus | None:
        """A pod of this node."""
        answer = self.http.get(f"/v1/capsules/{called(namespace, name)}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return self._read(answer.json())

    def pods(self) -> dict[str, PodStatus]:
        """All of this node."""
        answer = self.http.get("/v1/capsules")
        assert answer.status_code == 200, answer.text
        known = {one["name"]: self._read(one) for one in answer.json()["capsules"]}
        return {name: found for name, found in known.items() if found is not None}

    def until(self, name: str, phase: str, namespace: str = "default") -> PodStatus:
        """Wait for a phase; before it, only `Pending` is seen."""

        def reached() -> PodStatus | None:
            found = self.status(name, namespace)
            assert found is not None, f"{name} is gone"
            assert found.phase in {phase, "Pending", "Running"}, f"{name} is {found.phase}"
            return found if found.phase == phase else None

        found: PodStatus = eventually(reached, f"{name} becomes {phase}", seconds=60)
        return found

    def delete(self, name: str, namespace: str = "default") -> None:
        """Delete it, and look until it is gone; an error meanwhile is a failure."""
        assert self.http.delete(f"/v1/capsules/{called(namespace, name)}").status_code == 204

        def gone() -> bool:
            found = self.status(name, namespace)
            assert found is None or found.phase != "Failed"
            return found is None

        eventually(gone, f"{name} is gone", seconds=_DELETION_SECONDS)

    def _read(self, capsule: dict[str, Any]) -> PodStatus | None:
        if capsule["labels"].get("NodeName") != self.node:
            return None
        _moment(capsule["created_at"])
        addresses = [one["addr"] for there in capsule["addresses"].values() for one in there if one["version"] == 4]
        return PodStatus(
            PHASES.get(capsule["status"], "Unknown"),
            addresses[0] if addresses else "",
            capsule["labels"]["UID"],
            [_part(one) for one in capsule["containers"]],
        )


def _part(container: dict[str, Any]) -> Part:
    for key in ("name", "image", "command", "status_detail"):
        assert key in container
    _moment(container["updated_at"])
    return Part(
        PHASES.get(container["status"], "Unknown"),
        float(container["cpu"]),
        int(container["memory"]),
        _moment(container["started_at"]),
        container["uuid"],
        container["exit_code"],
    )


def _moment(text: str | None) -> datetime | None:
    """In the one form that the provider reads."""
    if text is None:
        return None
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007


@dataclass
class Deployment:
    """So many pods of one kind, as a controller keeps them: what is missing or has ended is replaced by one of another name."""

    kubelet: Kubelet
    template: Pod
    replicas: int

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.names: list[str] = []

    def reconcile(self) -> None:
        """Look once, and do what is to be done."""
        statuses = {name: self.kubelet.status(name) for name in self.names}
        for name, found in statuses.items():
            if found is None or found.phase in {"Succeeded", "Failed"}:
                self.names.remove(name)
                if found is not None:
                    self.kubelet.delete(name)
        while len(self.names) > self.replicas:
            self.kubelet.delete(self.names.pop())
        while len(self.names) < self.replicas:
            self._add()

    def ready(self) -> list[PodStatus]:
        """Those that run."""
        found = [self.kubelet.status(name) for name in self.names]
        return [one for one in found if one is not None and one.phase == "Running"]

    def scale(self, replicas: int) -> "Deployment":
        """The same with another number, and the pods there are."""
        other = replace(self, replicas=replicas)
        other.names, other._numbers = self.names, self._numbers
        return other

    def _add(self) -> None:
        base = self.template["metadata"]["name"]
        name = f"{base}-7d4b-{next(self._numbers)}"
        self.kubelet.create(
            {**self.template, "metadata": self.template["metadata"] | {"name": name, "uid": f"uid-of-{name}"}}
        )
        self.names.append(name)
