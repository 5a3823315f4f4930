# SPDX-License-Identifier: Apache-2.0
"""Create and update requests: every field, good and bad, at the versions that know it."""

import base64
from typing import Any

import pytest

from zun.model.attachments import PublishedPort
from zun.model.container import ContainerSpec, HealthCheck, Mount, NetRequest, RestartPolicy
from zun.model.creation import CreateRequest, parse_create, parse_update
from zun.model.errors import Invalid, ZunError
from zun.model.fields import by_wire

BOUNDS = {"cpu": (0.1, 16.0), "memory": (4, 8192), "disk": (1, 160)}
NEWEST = (1, 40)


def create(version: tuple[int, int] = NEWEST, **members: Any) -> CreateRequest:
    return parse_create({"image": "busybox"} | members, version, BOUNDS)


def refusal(version: tuple[int, int] = NEWEST, **members: Any) -> ZunError:
    with pytest.raises(ZunError) as caught:
        create(version, **members)
    return caught.value


def test_a_container_has_the_thirty_fields_of_the_contract_and_one_of_ours() -> None:
    assert len(by_wire(ContainerSpec).keys() - {"stdin_once", "published_ports"}) == 30


GOOD: list[tuple[str, Any, Any]] = [
    ("name", "web-1.a_b", "web-1.a_b"),
    ("name", None, ""),
    ("command", ["sh", "-c", 1], ["sh", "-c", "1"]),
    ("command", None, None),
    ("entrypoint", ["/bin/sh"], ["/bin/sh"]),
    ("cpu", 0.5, 0.5),
    ("cpu", "1.5", 1.5),
    ("cpu", ".5", 0.5),
    ("cpu", 16, 16.0),
    ("cpu", None, 1.0),
    ("cpu_policy", "dedicated", "dedicated"),
    ("memory", "256", 256),
    ("memory", 4, 4),
    ("memory", None, 512),
    ("disk", 20, 20),
    ("disk", "20", 20),
    ("disk", None, 0),
    ("workdir", "/srv", "/srv"),
    ("environment", {"A": "1", "B": ""}, {"A": "1", "B": ""}),
    ("environment", None, {}),
    ("labels", {"a": 1, "b": True, "c": "x", "d": 1.5}, {"a": "1", "b": "True", "c": "x", "d": "1.5"}),
    ("hints", {"disk": "ssd"}, {"disk": "ssd"}),
    ("interactive", "True", True),
    ("stdin_once", "True", True),
    ("tty", False, False),
    ("restart_policy", {"Name": "always"}, RestartPolicy("always")),
    ("restart_policy", {"Name": "on-failure", "MaximumRetryCount": "3"}, RestartPolicy("on-failure", 3)),
    ("restart_policy", {"Name": "on-failure", "MaximumRetryCount": 2}, RestartPolicy("on-failure", 2)),
    ("restart_policy", {"Name": "no", "MaximumRetryCount": 5}, RestartPolicy("no", 0)),
    ("restart_policy", {"Name": "unless-stopped", "MaximumRetryCount": None}, RestartPolicy("unless-stopped")),
    ("restart_policy", None, None),
    ("image_driver", "None", "docker"),
    ("image_driver", "glance", "glance"),
    ("image_pull_policy", "IfNotPresent", "ifnotpresent"),
    ("image_pull_policy", "IFNOTPRESENT", "ifnotpresent"),
    ("security_groups", ["a", "b", "a"], ["a", "b"]),
    ("nets", [{"network": "lab", "v4-fixed-ip": "10.9.0.20"}], [NetRequest("lab", v4_fixed_ip="10.9.0.20")]),
    ("nets", [{"port": "p", "v6-fixed-ip": "FD00::1"}], [NetRequest(port="p", v6_fixed_ip="fd00::1")]),
    ("nets", None, []),
    ("mounts", [{"source": "data", "destination": "/data"}], [Mount("/data", source="data")]),
    ("mounts", None, []),
    ("runtime", "runc", "runc"),
    ("hostname", "h-1.example", "h-1.example"),
    ("host", "node-1", "node-1"),
    ("availability_zone", "nova", "nova"),
    ("auto_remove", True, True),
    ("auto_remove", None, False),
    ("auto_heal", "true", True),
    ("privileged", False, False),
    ("healthcheck", {"cmd": "true", "interval": 5, "retries": 2, "timeout": 1}, HealthCheck("true", 5, 2, 1)),
    ("healthcheck", {"cmd": "true"}, HealthCheck("true")),
    ("exposed_ports", {"80": {}, "53/udp": {}, "80/tcp": {}}, ["80/tcp", "53/udp"]),
    ("published_ports", [{"port": 80}], [PublishedPort(host_port=0, port=80)]),
    ("published_ports", [{"port": "80", "host_port": None, "protocol": "tcp"}], [PublishedPort(host_port=0, port=80)]),
    ("published_ports", [{"port": 53, "host_port": "5353", "protocol": "udp"}], [PublishedPort(5353, 53, "udp")]),
    ("published_ports", [{"port": 80, "host_port": 9}, {"port": 80}], [PublishedPort(9, 80), PublishedPort(0, 80)]),
    ("published_ports", [], []),
    ("published_ports", None, []),
    ("registry", "my-registry", "my-registry"),
]


@pytest.mark.parametrize(("name", "sent", "expected"), GOOD, ids=lambda value: str(value)[:30])
def test_a_good_value_is_taken_in_its_normal_form(name: str, sent: Any, expected: Any) -> None:
    assert getattr(create(**{name: sent}).spec, name) == expected


BAD: list[tuple[str, Any]] = [
    ("image", None),
    ("image", ""),
    ("image", "a"),
    ("image", "--"),
    ("image", 5),
    ("image", "x" * 256),
    ("name", "a"),
    ("name", "-ab"),
    ("name", "a b"),
    ("name", "n" * 256),
    ("command", "ls"),
    ("command", [["ls"]]),
    ("command", ["a\x00b"]),
    ("entrypoint", "sh"),
    ("cpu", 0.05),
    ("cpu", 16.5),
    ("cpu", "1,5"),
    ("cpu", ""),
    ("cpu", "."),
    ("cpu", True),
    ("cpu", 10**400),
    ("cpu", [1]),
    ("cpu_policy", None),
    ("cpu_policy", "own"),
    ("memory", 3),
    ("memory", 8193),
    ("memory", "512m"),
    ("memory", 10**400),
    ("memory", 1.5),
    ("disk", 0),
    ("disk", 161),
    ("disk", -1),
    ("workdir", "srv"),
    ("workdir", 1),
    ("environment", {"A": 1}),
    ("environment", {"A": ["1"]}),
    ("environment", {"A=B": "1"}),
    ("environment", []),
    ("labels", {"a": ["1", "2"]}),
    ("labels", {"a": {}}),
    ("labels", "x"),
    ("hints", {"a": []}),
    ("interactive", 1),
    ("stdin_once", 1),
    ("interactive", "yes"),
    ("stdin_once", "yes"),
    ("interactive", None),
    ("stdin_once", None),
    ("tty", "1"),
    ("restart_policy", {}),
    ("restart_policy", {"Name": "sometimes"}),
    ("restart_policy", {"Name": ["no"]}),
    ("restart_policy", {"Name": "always", "MaximumRetryCount": "1"}),
    ("restart_policy", {"Name": "unless-stopped", "MaximumRetryCount": 1}),
    ("restart_policy", {"Name": "on-failure", "MaximumRetryCount": -1}),
    ("restart_policy", {"Name": "on-failure", "MaximumRetryCount": "x"}),
    ("restart_policy", {"Name": "no", "Delay": 1}),
    ("image_driver", "oci"),
    ("image_pull_policy", "sometimes"),
    ("security_groups", [""]),
    ("security_groups", "default"),
    ("published_ports", {"80": 8080}),
    ("published_ports", [80]),
    ("published_ports", [{}]),
    ("published_ports", [{"host_port": 8080}]),
    ("published_ports", [{"port": 0}]),
    ("published_ports", [{"port": 80, "host_port": 65536}]),
    ("published_ports", [{"port": 80, "host_port": True}]),
    ("published_ports", [{"port": 80, "protocol": "sctp"}]),
    ("published_ports", [{"port": 80, "protocol": ["tcp"]}]),
    ("published_ports", [{"port": 80, "host_address": "127.0.0.1"}]),
    ("published_ports", [{"port": 80, "host_port": 8080}, {"port": 81, "host_port": 8080}]),
    ("published_ports", [{"port": 80}] * 17),
    ("nets", [{"v4-fixed-ip": "10.0.0.1"}]),
    ("nets", [{"network": "a", "port": "b"}]),
    ("nets", [{"network": ""}]),
    ("nets", [{"network": "a", "v4-fixed-ip": "fd00::1"}]),
    ("nets", [{"network": "a", "v6-fixed-ip": "10.0.0.1"}]),
    ("nets", [{"network": "a", "v4-fixed-ip": None}]),
    ("nets", [{"network": "a", "preserve": True}]),
    ("nets", {"network": "a"}),
    ("mounts", [{"source": "data"}]),
    ("mounts", [{"destination": "/data"}]),
    ("mounts", [{"source": "/etc", "destination": "/data"}]),
    ("mounts", [{"source": "../x", "destination": "/data"}]),
    ("mounts", [{"source": "data", "destination": "data"}]),
    ("mounts", [{"type": "tmpfs", "source": "data", "destination": "/data"}]),
    ("mounts", [{"type": "bind", "source": "not base64!", "destination": "/f"}]),
    ("mounts", [{"type": "bind", "destination": "/f"}]),
    ("mounts", [{"size": "big", "destination": "/data"}]),
    ("mounts", [{"source": "data", "destination": "/data", "ro": True}]),
    ("runtime", ""),
    ("hostname", None),
    ("hostname", "a b"),
    ("hostname", "h" * 64),
    ("host", None),
    ("host", "a b"),
    ("availability_zone", ""),
    ("auto_remove", "true"),
    ("auto_heal", 0),
    ("privileged", "maybe"),
    ("healthcheck", {}),
    ("healthcheck", {"cmd": "true", "interval": "soon"}),
    ("healthcheck", {"cmd": ["true"]}),
    ("healthcheck", {"cmd": "true", "start_period": 1}),
    ("exposed_ports", {"http": {}}),
    ("exposed_ports", {"0": {}}),
    ("exposed_ports", {"65536": {}}),
    ("exposed_ports", {"80/sctp": {}}),
    ("exposed_ports", {"80": {"HostPort": 80}}),
    ("registry", None),
    ("registry", "x"),
]


@pytest.mark.parametrize(("name", "sent"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_value_is_refused_with_the_field_named(name: str, sent: Any) -> None:
    error = refusal(**{name: sent})
    assert (error.http_status, error.code) == (400, "schema-validation-error")
    assert f"'{name}'" in error.message


def test_every_field_is_tried_with_a_good_and_a_bad_value() -> None:
    everything = set(by_wire(ContainerSpec))
    assert {name for name, _, _ in GOOD} | {"image"} == everything
    assert {name for name, _ in BAD} == everything


def test_members_that_do_not_exist_are_refused() -> None:
    assert "'colour'" in refusal(colour="red").message


def test_the_image_is_required() -> None:
    with pytest.raises(Invalid, match="'image' is required"):
        parse_create({}, NEWEST, BOUNDS)


@pytest.mark.parametrize(
    ("name", "value", "since"),
    [
        ("auto_remove", False, (1, 3)),
        ("runtime", "runc", (1, 5)),
        ("hostname", "web", (1, 9)),
        ("mounts", [{"source": "data", "destination": "/data"}], (1, 11)),
        ("privileged", False, (1, 21)),
        ("healthcheck", {"cmd": "true"}, (1, 22)),
        ("exposed_ports", {"80": {}}, (1, 24)),
        ("registry", "mine", (1, 31)),
    ],
)
def test_a_field_below_its_version_is_refused(name: str, value: Any, since: tuple[int, int]) -> None:
    error = refusal((since[0], since[1] - 1), **{name: value})
    assert (error.http_status, error.code) == (400, "invalid-param-in-version")
    create(since, **{name: value})


@pytest.mark.parametrize(("name", "value", "since"), [("host", "n1", (1, 39)), ("entrypoint", ["sh"], (1, 40))])
def test_the_newest_fields_do_not_exist_below_their_version(name: str, value: Any, since: tuple[int, int]) -> None:
    assert refusal((since[0], since[1] - 1), **{name: value}).code == "schema-validation-error"
    create(since, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("mounts", []), ("mounts", None), ("auto_remove", None)])
def test_an_empty_value_uses_no_version(name: str, value: Any) -> None:
    create((1, 1), **{name: value})


@pytest.mark.parametrize(("name", "value"), [("nets", [{"network": "a"}]), ("cpu_policy", "shared"), ("tty", True)])
def test_fields_without_a_gate_work_at_every_version(name: str, value: Any) -> None:
    create((1, 1), **{name: value})


def test_a_command_is_a_string_below_1_20_and_split_as_a_shell_does() -> None:
    assert create((1, 19), command='sh -c "echo hello world"').spec.command == ["sh", "-c", "echo hello world"]
    assert create((1, 19), command="").spec.command is None
    assert refusal((1, 19), command=["ls"]).code == "schema-validation-error"
    assert refusal((1, 19), command="echo 'open").code == "schema-validation-error"


def test_between_1_20_and_1_35_interactive_decides_about_the_terminal() -> None:
    assert create((1, 19), interactive=True, tty=False).spec.tty is False
    assert create((1, 20), interactive=True, tty=False).spec.tty is True
    assert create((1, 35), interactive=False, tty=True).spec.tty is False
    assert create((1, 35), tty=True).spec.tty is True
    assert create((1, 36), interactive=True).spec.tty is False


def test_security_groups_and_exposed_ports_exclude_each_other() -> None:
    both = {"security_groups": ["a"], "exposed_ports": {"80": {}}}
    assert "exclude" in refusal(**both).message
    create(security_groups=["a"], exposed_ports={})


def test_what_was_given_is_known_and_null_is_not_given() -> None:
    assert create(privileged=False, runtime=None, cpu=1).given == {"image", "privileged", "cpu"}


def test_files_to_inject_are_decoded_and_numbered() -> None:
    mounts = [
        {"type": "bind", "source": base64.b64encode(b"one").decode(), "destination": "/one"},
        {"source": "data", "destination": "/data"},
        {"type": "bind", "source": base64.encodebytes(bytes(90)).decode(), "destination": "/two"},
    ]
    request = create(mounts=mounts)
    assert request.files == {0: b"one", 1: bytes(90)}
    assert request.spec.mounts == [Mount("/one", file=0), Mount("/data", source="data"), Mount("/two", file=1)]


@pytest.mark.parametrize("sizes", [[256 * 1024 + 1], [256 * 1024] * 4 + [1]])
def test_too_large_files_are_refused_with_413(sizes: list[int]) -> None:
    mounts = [
        {"type": "bind", "source": base64.b64encode(bytes(size)).decode(), "destination": f"/f{place}"}
        for place, size in enumerate(sizes)
    ]
    error = refusal(mounts=mounts)
    assert (error.http_status, error.code) == (413, "too-large")


def test_a_volume_of_a_size_names_the_missing_service() -> None:
    error = refusal(mounts=[{"size": "2", "destination": "/data"}])
    assert error.http_status == 400
    assert "not configured" in error.message


def test_an_update_takes_its_four_fields_and_no_other() -> None:
    changes = parse_update({"cpu": "2", "memory": 64, "name": "new", "auto_heal": True}, NEWEST, BOUNDS)
    assert (changes.cpu, changes.memory, changes.name, changes.auto_heal) == (2.0, 64, "new", True)
    assert parse_update({}, NEWEST, BOUNDS).cpu is None
    with pytest.raises(Invalid, match="'image'"):
        parse_update({"image": "busybox"}, NEWEST, BOUNDS)
    with pytest.raises(Invalid, match="between 4 and 8192"):
        parse_update({"memory": 1}, NEWEST, BOUNDS)
