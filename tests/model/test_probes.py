# SPDX-License-Identifier: Apache-2.0
"""Probes in a template: what they mean, and how a mistake in them is named."""

from typing import Any

import pytest

from zun.model.capsule_template import parse_template
from zun.model.errors import Invalid
from zun.model.probes import HttpGet, Probe, Probes

HERE = "template.spec.containers[0]"
PORTS = [{"containerPort": 8080, "name": "web"}, {"containerPort": 53, "protocol": "UDP"}]


def read(**container: Any) -> Probes | None:
    value = {
        "kind": "capsule",
        "metadata": {},
        "spec": {"containers": [{"image": "nginx", "ports": PORTS} | container]},
    }
    return parse_template(value, {}).containers[0].probes


def test_a_probe_says_what_it_says_in_kubernetes() -> None:
    found = read(
        startupProbe={"tcpSocket": {"port": 8080}, "failureThreshold": 30, "periodSeconds": 1},
        livenessProbe={"exec": {"command": ["cat", "/tmp/ok"]}, "initialDelaySeconds": 5, "timeoutSeconds": 2},
        readinessProbe={
            "httpGet": {
                "path": "/ready?full=1",
                "port": "web",
                "scheme": "HTTPS",
                "httpHeaders": [{"name": "Host", "value": "shop.test"}, {"name": "X-A", "value": "1"}],
            },
            "successThreshold": 2,
        },
    )
    assert found == Probes(
        startup=Probe(tcp=8080, failures=30, period=1),
        liveness=Probe(command=["cat", "/tmp/ok"], delay=5, timeout=2),
        readiness=Probe(
            http=HttpGet(port=8080, path="/ready?full=1", tls=True, headers=[("Host", "shop.test"), ("X-A", "1")]),
            successes=2,
        ),
    )


def test_what_a_probe_leaves_out_is_as_in_kubernetes() -> None:
    found = read(livenessProbe={"httpGet": {"port": 80}})
    assert found is not None
    assert found.liveness == Probe(
        http=HttpGet(port=80, path="/", tls=False, headers=[]), delay=0, period=10, timeout=1, successes=1, failures=3
    )
    assert (found.readiness, found.startup, read()) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "probe", "path"),
    [
        ("livenessProbe", {}, "livenessProbe"),
        ("livenessProbe", {"exec": {"command": ["true"]}, "tcpSocket": {"port": 1}}, "livenessProbe"),
        ("livenessProbe", {"grpc": {"port": 1}, "tcpSocket": {"port": 1}}, "livenessProbe.grpc"),
        ("livenessProbe", {"exec": {"command": []}}, "livenessProbe.exec.command"),
        ("livenessProbe", {"exec": {}}, "livenessProbe.exec.command"),
        ("livenessProbe", {"exec": {"command": "true"}}, "livenessProbe.exec.command"),
        ("livenessProbe", {"tcpSocket": {"port": 1}, "successThreshold": 2}, "livenessProbe.successThreshold"),
        ("startupProbe", {"tcpSocket": {"port": 1}, "successThreshold": 2}, "startupProbe.successThreshold"),
        ("readinessProbe", {"tcpSocket": {"port": 1}, "periodSeconds": 0}, "readinessProbe.periodSeconds"),
        ("readinessProbe", {"tcpSocket": {"port": 1}, "timeoutSeconds": 0}, "readinessProbe.timeoutSeconds"),
        ("readinessProbe", {"tcpSocket": {"port": 1}, "failureThreshold": 0}, "readinessProbe.failureThreshold"),
        ("readinessProbe", {"tcpSocket": {"port": 1}, "initialDelaySeconds": -1}, "readinessProbe.initialDelaySeconds"),
        ("readinessProbe", {"tcpSocket": {"port": 65536}}, "readinessProbe.tcpSocket.port"),
        ("readinessProbe", {"tcpSocket": {"port": "db"}}, "readinessProbe.tcpSocket.port"),
        ("readinessProbe", {"tcpSocket": {}}, "readinessProbe.tcpSocket.port"),
        ("readinessProbe", {"httpGet": {"port": 1, "path": "no-slash"}}, "readinessProbe.httpGet.path"),
        ("readinessProbe", {"httpGet": {"port": 1, "path": "/a b"}}, "readinessProbe.httpGet.path"),
        ("readinessProbe", {"httpGet": {"port": 1, "path": "/a\r\nHost: other"}}, "readinessProbe.httpGet.path"),
        ("readinessProbe", {"httpGet": {"port": 1, "scheme": "ftp"}}, "readinessProbe.httpGet.scheme"),
        (
            "readinessProbe",
            {"httpGet": {"port": 1, "httpHeaders": [{"name": "A", "value": "1\r\nB: 2"}]}},
            "readinessProbe.httpGet.httpHeaders[0].value",
        ),
        (
            "readinessProbe",
            {"httpGet": {"port": 1, "httpHeaders": [{"name": "A:", "value": "1"}]}},
            "readinessProbe.httpGet.httpHeaders[0].name",
        ),
    ],
)
def test_a_mistake_is_named_by_its_path(kind: str, probe: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid, match=f"'{HERE}.{path}'".replace("[", r"\[").replace("]", r"\]")) as refused:
        read(**{kind: probe})
    assert refused.value.http_status == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.9", "etcd.internal", "::1"])
@pytest.mark.parametrize("way", ["httpGet", "tcpSocket"])
def test_no_other_host_is_asked(way: str, host: str) -> None:
    with pytest.raises(Invalid, match=rf"livenessProbe\.{way}\.host'"):
        read(livenessProbe={way: {"port": 80, "host": host}})


def test_a_name_that_no_port_has_is_told_with_those_there_are() -> None:
    with pytest.raises(Invalid, match=r"one of its container's ports \(web\)"):
        read(livenessProbe={"tcpSocket": {"port": "db"}})


def test_an_init_container_has_no_probes() -> None:
    init = {"image": "busybox", "readinessProbe": {"tcpSocket": {"port": 1}}}
    value = {"kind": "capsule", "metadata": {}, "spec": {"containers": [{"image": "a1"}], "initContainers": [init]}}
    with pytest.raises(Invalid, match=r"template\.spec\.initContainers\[0\]\.readinessProbe"):
        parse_template(value, {})
