# SPDX-License-Identifier: Apache-2.0
"""`zunctl capsule` against a real service whose containers are made up."""

import json
from collections.abc import Iterator

import httpx
import pytest

from support.zunctl import Service, refusal, run_here

TEMPLATE = """
kind: capsule
metadata: {name: NAME}
spec:
  restartPolicy: POLICY
  terminationGracePeriodSeconds: 0
  initContainers: [{image: IMAGE, name: first, command: [echo, prepared]}]
  containers:
    - {image: IMAGE, name: web, command: [sh, -c, "echo hello; sleep 1000"], ports: [{containerPort: 80}]}
    - {image: IMAGE, name: side, command: COMMAND, resources: {requests: {cpu: 0.5, memory: 64}}}
"""


def template(service: Service, name: str, *, command: str = '[sleep, "1000"]', policy: str = "Always") -> str:
    text = TEMPLATE.replace("NAME", name).replace("IMAGE", service.image)
    return text.replace("COMMAND", command).replace("POLICY", policy)


@pytest.fixture
def shop(service: Service, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"shop-{abs(hash(request.node.name)) % 10**9}"
    made = service.run("capsule", "create", "-f", "-", "--wait", stdin=template(service, name))
    assert made.code == 0, made.err
    assert len(made.out.strip()) == 36
    yield name
    service.run("capsule", "delete", name, "--wait")


def test_a_capsule_is_listed_and_shown_with_its_containers(service: Service, shop: str) -> None:
    (line,) = [line for line in service.run("capsule", "list").out.splitlines() if shop in line]
    assert "Running" in line
    shown = service.run("capsule", "show", shop).out
    for words in ("Running", "64.0 MiB", "first", "web", "side", "init", "app"):
        assert words in shown
    found = json.loads(service.run("capsule", "show", shop, "-o", "json").out)
    assert [one["given_name"] for one in found["containers"]] == ["web", "side"]
    assert found["uuid"] in service.run("capsule", "list", "-q").out.split()


def test_logs_and_exec_reach_the_container_that_is_named(service: Service, shop: str) -> None:
    assert service.run("capsule", "logs", shop).out == "hello\n"
    assert service.run("capsule", "logs", shop, "-c", "first").out == "prepared\n"
    assert service.run("capsule", "exec", "-c", "side", shop, "echo", "hi").out == "hi\n"
    assert service.run("capsule", "exec", shop, "sh", "-c", "exit 7").code == 7
    missing = service.run("capsule", "exec", "-c", "nobody", shop, "true")
    assert (missing.code, "web, side, first" in missing.err) == (4, True)


def test_its_containers_are_in_no_list_and_shown_by_their_ids(service: Service, shop: str) -> None:
    found = json.loads(service.run("capsule", "show", shop, "-o", "json").out)
    uuid = found["containers"][0]["uuid"]
    assert uuid not in service.run("ps", "-aq").out
    assert "Running" in service.run("show", uuid).out
    stopped = service.run("stop", uuid)
    assert stopped.code == 1
    assert found["uuid"] in stopped.err


def test_what_fails_for_good_ends_the_waiting_with_its_reason(service: Service) -> None:
    text = template(service, "doomed", command="[no-such-program]")
    made = service.run("capsule", "create", "-f", "-", "--wait", stdin=text)
    assert made.code == 1
    assert made.err.startswith("zunctl: doomed: Container side")
    assert service.run("capsule", "delete", "doomed", "--wait").out == "doomed\n"
    assert service.run("capsule", "show", "doomed").code == 4


def test_a_mistake_in_a_file_is_named(service: Service) -> None:
    done = service.run("capsule", "create", "-f", "-", stdin=template(service, "wrong").replace("requests", "asks"))
    assert done.code == 1
    assert "'template.spec.containers[1].resources.asks'" in done.err
    assert service.run("capsule", "create", "-f", "/no/such/file").code == 2
    assert service.run("capsule", "create").code == 2
    assert service.run("capsule", "create", "-f", "-", stdin=b"\xff\xfe").code == 2


def test_waiting_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            202 if request.method == "POST" else 200, json={"uuid": "u", "name": "slow", "status": "Creating"}
        )

    assert run_here(answer, "capsule", "create", "-f", "/dev/null", "--wait", "--timeout", "0.3") == 1
    assert "slow is still Creating after 0.3 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "force"), [([], None), (["--force"], "True"), (["-f"], "True")])
def test_who_is_in_a_hurry_says_so(options: list[str], force: str | None) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            asked.append(request.url.params.get("force"))
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json={"uuid": "u"})

    assert run_here(answer, "capsule", "delete", "shop", *options) == 0
    assert asked == [force]


def test_several_are_deleted_and_a_failure_of_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/absent"):
            return refusal(404, "Capsule absent could not be found.")
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json={"uuid": "u"})

    assert run_here(answer, "capsule", "delete", "absent", "present") == 4
    said = capsys.readouterr()
    assert (said.out, "absent" in said.err) == ("present\n", True)
