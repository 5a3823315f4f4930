# SPDX-License-Identifier: Apache-2.0
"""Pods of Kubernetes as capsules on a real engine: the whole conversation of a kubelet that has no machine of its own."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.pods import Deployment, Kubelet, fully, pod
from support.service import Service, eventually
from support.stage import FOREVER, IMAGE


@pytest.fixture
def http(house: Service) -> Iterator[httpx.Client]:
    with house.client(version="1.32") as client:
        yield client


@pytest.fixture
def kubelet(http: httpx.Client) -> Kubelet:
    return Kubelet(http, "vk-1")


def container(name: str = "main", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": FOREVER} | fields


def log_of(http: httpx.Client, uuid: str) -> str:
    return str(http.get(f"/v1/containers/{uuid}/logs").json())


def test_a_pod_of_several_containers_comes_runs_and_goes(kubelet: Kubelet) -> None:
    tells = {
        "command": ["sh", "-c"],
        "args": ['echo "$GREETING from $(pwd)"; trap "exit 0" TERM; while :; do sleep 0.1; done'],
        "env": [{"name": "GREETING", "value": "hello"}, {"name": "EMPTY"}],
        "workingDir": "/tmp",
        "resources": {"requests": {"cpu": "250m", "memory": "32Mi"}},
    }
    wanted = pod("web", container(**tells), container("side"))
    assert kubelet.status("web") is None
    kubelet.create(wanted)
    found = kubelet.until("web", "Running")
    assert found.address
    assert found.uid == "uid-of-web"
    assert [(one.phase, one.cpu, one.memory_mib) for one in found.parts] == [("Running", 0.25, 32), ("Running", 0.0, 0)]
    assert all(one.started_at for one in found.parts)
    eventually(lambda: log_of(kubelet.http, found.parts[0].uuid) == "hello from /tmp\n", "it has told")
    assert kubelet.pods()["default-web"].phase == "Running"
    kubelet.delete("web")
    assert "default-web" not in kubelet.pods()


def test_a_pod_belongs_to_its_node_and_its_name_space(kubelet: Kubelet, http: httpx.Client) -> None:
    other = Kubelet(http, "vk-2")
    for namespace in ("blue", "green"):
        kubelet.create(pod("same", container(), namespace=namespace))
    one, two = (kubelet.until("same", "Running", namespace) for namespace in ("blue", "green"))
    assert one.parts[0].uuid != two.parts[0].uuid
    assert one.address != two.address
    assert other.status("same", "blue") is None
    assert not {"blue-same", "green-same"} & set(other.pods())
    kubelet.delete("same", "blue")
    assert kubelet.until("same", "Running", "green") == two
    kubelet.delete("same", "green")


@pytest.mark.parametrize(
    ("command", "policy", "phase", "exit_code"),
    [("exit 0", "Never", "Succeeded", 0), ("exit 0", "OnFailure", "Succeeded", 0), ("exit 3", "Never", "Failed", 3)],
)
def test_a_pod_that_ends_tells_how(http: httpx.Client, command: str, policy: str, phase: str, exit_code: int) -> None:
    kubelet = Kubelet(http, "vk-1", fully)
    kubelet.create(pod("job", container(command=["sh", "-c", command]), restartPolicy=policy))
    assert kubelet.until("job", phase).parts[0].exit_code == exit_code
    kubelet.delete("job")


def test_all_that_capsules_know_of_pods_can_be_sent(http: httpx.Client) -> None:
    kubelet = Kubelet(http, "vk-1", fully)
    resources = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
    wanted = pod(
        "whole",
        container("web", ports=[{"name": "http", "containerPort": 8080, "protocol": "TCP"}], resources=resources),
        initContainers=[container("first", command=["true"])],
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
    )
    kubelet.create(wanted)
    (web,) = kubelet.until("whole", "Running").parts
    assert (web.cpu, web.memory_mib) == (0.1, 16)
    assert http.get("/v1/capsules/default-whole").json()["containers"][0]["limits"] == {"cpu": 0.5, "memory": "64"}
    kubelet.delete("whole")


@pytest.mark.parametrize(
    ("part", "spec", "path"),
    [
        ({"securityContext": {"runAsNonRoot": True}}, {}, "template.spec.containers[0].securityContext.runAsNonRoot"),
        (
            {"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "32Mi"}}},
            {},
            "template.spec.containers[0].resources.limits.memory",
        ),
        (
            {"volumeMounts": [{"name": "tmp", "mountPath": "/t"}]},
            {"volumes": [{"name": "tmp", "emptyDir": {}}]},
            "template.spec.volumes[0]",
        ),
    ],
)
def test_what_capsules_do_not_know_is_refused_by_its_place(
    http: httpx.Client, part: dict[str, Any], spec: dict[str, Any], path: str
) -> None:
    kubelet = Kubelet(http, "vk-1", fully)
    refused = kubelet.submit(pod("refused", container(**part), **spec))
    assert refused.status_code == 400
    assert f"'{path}'" in refused.json()["errors"][0]["detail"]
    assert kubelet.status("refused") is None


def test_three_replicas_are_kept_replaced_and_scaled(kubelet: Kubelet) -> None:
    shop = Deployment(kubelet, pod("shop", container(), container("side")), replicas=3)
    shop.reconcile()
    ready = eventually(lambda: len(shop.ready()) == 3 and shop.ready(), "three run")
    assert len({one.address for one in ready}) == 3
    lost = shop.names[1]
    kubelet.delete(lost)
    shop.reconcile()
    assert lost not in shop.names
    again = eventually(lambda: len(shop.ready()) == 3 and shop.ready(), "three run again")
    assert len({one.uid for one in (*ready, *again)}) == 4
    fewer = shop.scale(1)
    fewer.reconcile()
    assert len(fewer.ready()) == 1
    none = fewer.scale(0)
    none.reconcile()
    assert not kubelet.pods()
