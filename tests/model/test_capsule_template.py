# SPDX-License-Identifier: Apache-2.0
"""Templates: what they may be written in, what they mean, and how a mistake is named."""

import json
from typing import Any

import pytest

from zun.model.attachments import PublishedPort
from zun.model.capsule_template import CapsuleRequest, parse_template, template_value
from zun.model.errors import Invalid, Unsupported, ZunError
from zun.model.parts import Mount, RestartPolicy

BOUNDS = {"cpu": (0.1, 16.0), "memory": (4.0, 8192.0)}


def template(**container: Any) -> dict[str, Any]:
    return {"kind": "capsule", "metadata": {"name": "shop"}, "spec": {"containers": [{"image": "nginx"} | container]}}


def read(value: Any) -> CapsuleRequest:
    return parse_template(template_value(value), BOUNDS)


def test_the_contracts_example_means_what_it_says() -> None:
    value = template(
        env={"A": 1}, command=["sh"], args=["-c", "x"], stdin="true", workDir="/srv", imagePullPolicy="Never"
    )
    value["capsuleVersion"], value["availabilityZone"] = "beta", "nova"
    value["metadata"] |= {"labels": {"tier": "web"}, "annotations": {"note": "demo"}, "anything": 1}
    container = value["spec"]["containers"][0]
    container["ports"] = [
        {"containerPort": 80, "protocol": "TCP", "hostPort": 8080},
        {"containerPort": "53", "protocol": "UDP"},
    ]
    container["resources"] = {"requests": {"cpu": 0.5, "memory": 256}}
    value["spec"] |= {"restartPolicy": "OnFailure", "initContainers": [{"image": "busybox"}], "other": {}}
    request = read(value)
    (web,) = request.containers
    assert (request.name, request.labels, request.annotations) == ("shop", {"tier": "web"}, {"note": "demo"})
    assert (request.restart_policy, request.availability_zone) == (RestartPolicy("on-failure"), "nova")
    assert (web.spec.command, web.spec.environment, web.spec.interactive) == (["sh", "-c", "x"], {"A": "1"}, True)
    assert (web.spec.cpu, web.spec.memory, web.spec.exposed_ports) == (0.5, 256, ["80/tcp", "53/udp"])
    assert web.spec.published_ports == [PublishedPort(host_port=8080, port=80)]
    assert (web.spec.workdir, web.spec.image_pull_policy) == ("/srv", "never")
    assert [one.spec.image for one in request.init_containers] == ["busybox"]


@pytest.mark.parametrize(
    ("written", "app", "init"),
    [
        (None, "always", "on-failure"),
        ("Always", "always", "on-failure"),
        ("OnFailure", "on-failure", "on-failure"),
        ("Never", "no", "no"),
    ],
)
def test_the_policy_counts_for_each_container_and_init_containers_never_run_again_after_success(
    written: str | None, app: str, init: str
) -> None:
    value = template()
    value["spec"] |= {"restartPolicy": written, "initContainers": [{"image": "busybox"}]}
    request = read(value)
    assert request.containers[0].spec.restart_policy == RestartPolicy(app)
    assert request.init_containers[0].spec.restart_policy == RestartPolicy(init)


def test_json_text_yaml_text_and_an_object_are_the_same() -> None:
    yaml = """
    kind: capsule
    metadata: {name: shop}
    spec:
      containers:
        - image: nginx
          command: [sleep, 10]
    """
    value = template(command=["sleep", "10"])
    assert read(yaml) == read(json.dumps(value)) == read(value)


def test_words_of_yaml_mean_what_they_look_like() -> None:
    request = read(
        "kind: capsule\nmetadata: {name: shop, labels: {a: on, b: 1:30, c: 2026-01-01, d: 010}}\nspec: {containers: [{image: nginx}]}"
    )
    assert request.labels == {"a": "on", "b": "1:30", "c": "2026-01-01", "d": "010"}


def test_volumes_are_mounted_by_name_and_may_be_read_only() -> None:
    value = template(
        volumeMounts=[{"name": "site", "mountPath": "/srv", "readOnly": True}, {"name": "data", "mountPath": "/d"}]
    )
    value["spec"]["volumes"] = [{"name": "site", "local": {"source": "web"}}, {"name": "data", "local": {}}]
    assert read(value).containers[0].spec.mounts == [Mount("/srv", "web", read_only=True), Mount("/d", "data")]


WRONG: list[tuple[dict[str, Any] | str, str]] = [
    ({"kind": "pod"}, "template.kind"),
    ({"kind": None}, "template.kind"),
    ({"nets": []}, "template.nets"),
    ({"metadata": None}, "template.metadata"),
    ({"metadata": {"name": "-"}}, "template.metadata.name"),
    ({"metadata": {"labels": {"a": {}}}}, "template.metadata.labels"),
    ({"capsuleVersion": "2"}, "template.capsuleVersion"),
    ({"spec": None}, "template.spec"),
    ({"spec": {}}, "template.spec.containers"),
    ({"spec": {"containers": []}}, "template.spec.containers"),
    ({"spec": {"containers": {}}}, "template.spec.containers"),
    ({"spec": {"containers": ["nginx"]}}, "template.spec.containers[0]"),
    ({"spec": {"containers": [{"image": "nginx"}], "restartPolicy": "Sometimes"}}, "template.spec.restartPolicy"),
    ({"spec": {"containers": [{"image": "nginx"}], "initContainers": [{}]}}, "template.spec.initContainers[0].image"),
    ({"spec": {"containers": [{"image": "nginx"}] * 33}}, "at most 32"),
]


@pytest.mark.parametrize(("change", "path"), WRONG)
def test_a_mistake_is_named_by_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(template() | change)
    assert path in refused.value.message
    assert refused.value.http_status == 400


WRONG_CONTAINERS = [
    ({"image": 3}, "image"),
    ({"entrypoint": ["x"]}, "entrypoint"),
    ({"env": [{"name": "A", "value": "1"}]}, "env"),
    ({"env": {"A=B": "1"}}, "env"),
    ({"command": "sh"}, "command"),
    ({"resources": {"claims": []}}, "resources.claims"),
    ({"resources": {"limits": {"cpu": "much"}}}, "resources.limits.cpu"),
    ({"resources": {"limits": {"cpu": 99}}}, "resources.limits.cpu"),
    ({"resources": {"limits": {"memory": "1Ki"}}}, "resources.limits.memory"),
    ({"resources": {"limits": {"ephemeral-storage": "1Gi"}}}, "resources.limits.ephemeral-storage"),
    ({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}, "resources.limits.cpu"),
    ({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": 1023}}}, "resources.limits.memory"),
    ({"resources": {"requests": {"cpu": "much"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": 99}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"memory": 1}}}, "resources.requests.memory"),
    ({"resources": {"requests": {"disk": 1}}}, "resources.requests.disk"),
    ({"ports": [{"containerPort": 0}]}, "ports[0].containerPort"),
    ({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "SCTP"}]}, "ports[1].protocol"),
    ({"volumeMounts": [{"name": "site", "mountPath": "/srv"}]}, "volumeMounts[0].name"),
    ({"volumeMounts": [{"name": "site"}]}, "volumeMounts[0].mountPath"),
    ({"tty": "yes"}, "tty"),
    ({"imagePullPolicy": "Sometimes"}, "imagePullPolicy"),
    ({"securityContext": {"runAsUser": 1000}}, "securityContext.runAsUser"),
    ({"securityContext": {"readOnlyRootFilesystem": True}}, "securityContext.readOnlyRootFilesystem"),
    ({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}, "securityContext.capabilities"),
    ({"securityContext": {"privileged": "perhaps"}}, "securityContext.privileged"),
    ({"securityContext": []}, "securityContext"),
]


@pytest.mark.parametrize(("change", "path"), WRONG_CONTAINERS)
def test_a_mistake_in_a_container_is_named_by_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(template(**change))
    assert f"'template.spec.containers[0].{path}'" in refused.value.message


@pytest.mark.parametrize(
    ("volume", "path"),
    [
        ({"name": "vol"}, "template.spec.volumes[0]"),
        ({"name": "vol", "cinder": {}}, "template.spec.volumes[0].cinder"),
        ({"name": "vol", "cinder": {"size": 3, "volumeID": "x" * 36}}, "template.spec.volumes[0].cinder"),
        ({"name": "vol", "cinder": {"size": 3}, "local": {}}, "template.spec.volumes[0]"),
        ({"name": "vol", "local": {"source": "../x"}}, "template.spec.volumes[0].local.source"),
        ({"name": "unused", "local": {}}, "template.spec.volumes[0]"),
    ],
)
def test_a_wrong_volume_is_named(volume: dict[str, Any], path: str) -> None:
    value = template(volumeMounts=[{"name": "vol", "mountPath": "/v"}] if volume["name"] == "vol" else [])
    value["spec"]["volumes"] = [volume]
    with pytest.raises(Invalid) as refused:
        read(value)
    assert f"'{path}'" in refused.value.message


@pytest.mark.parametrize("seconds", [-1, 86401, "soon", 1.5, True])
def test_a_grace_is_whole_seconds_up_to_a_day(seconds: object) -> None:
    value = template()
    value["spec"]["terminationGracePeriodSeconds"] = seconds
    with pytest.raises(Invalid, match=r"'template\.spec\.terminationGracePeriodSeconds' must be"):
        read(value)


@pytest.mark.parametrize(("written", "meant"), [(None, None), (0, 0), ("30", 30), (86400, 86400)])
def test_a_grace_of_nothing_is_another_thing_than_none(written: object, meant: int | None) -> None:
    value = template()
    value["spec"]["terminationGracePeriodSeconds"] = written
    assert read(value).grace_seconds == meant


def test_a_container_may_ask_for_the_rights_of_its_node() -> None:
    assert read(template(securityContext={"privileged": True})).containers[0].spec.privileged
    assert not read(template(securityContext={})).containers[0].spec.privileged


def test_volumes_of_cinder_need_cinder() -> None:
    value = template(volumeMounts=[{"name": "vol", "mountPath": "/v"}])
    value["spec"]["volumes"] = [{"name": "vol", "cinder": {"size": 3, "autoRemove": True}}]
    with pytest.raises(Unsupported, match="volume service"):
        read(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "kind: [",
        "a: &x [1]\nb: *x",
        "{" * 100_000,
        "[" * 100_000,
        "!!python/object/apply:os.system [id]",
        "\x00",
        "? [1]\n: 2",
        "kind: !!set {a}",
        "\ud800",
    ],
)
def test_text_that_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert "template" in refused.value.message


def test_a_template_of_any_size_does_not_hold_up_the_service() -> None:
    with pytest.raises(ZunError) as refused:
        read("a: b\n" * 100_000)
    assert refused.value.http_status == 413
