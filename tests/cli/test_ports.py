# SPDX-License-Identifier: Apache-2.0
"""Published ports, as people ask for them and see them: with made-up containers, and with real ones that serve a page."""

import json

import pytest

from lab.ports import free_port
from support import web
from support.zunctl import Service, wait_for


def test_a_port_is_asked_for_as_with_docker_and_shown_in_every_view(service: Service) -> None:
    number = free_port()
    made = service.run("run", "-d", "--wait", "--name", "site", "-p", f"{number}:80", service.image, "sleep", "1000")
    assert made.code == 0, made.err
    assert service.run("port", "site").out == f"80/tcp -> 127.0.0.1:{number}\n"
    for told in (service.run("ps").out, service.run("show", "site").out):
        assert f"127.0.0.1:{number}->80/tcp" in told
    found = [{"host_address": "127.0.0.1", "host_port": number, "port": 80, "protocol": "tcp"}]
    assert json.loads(service.run("port", "-o", "json", "site").out) == found
    second = service.run("run", "-d", "--wait", "--name", "late", "-p", f"{number}:80", service.image, "sleep", "1000")
    assert second.code != 0
    assert f"a port is published there already ({number}/tcp)" in second.err
    service.run("stop", "-t", "0", "site")
    assert service.run("port", "site").out == f"80/tcp -> 127.0.0.1:{number}\n"
    service.run("rm", "-f", "site", "late")
    assert "PORTS" not in service.run("ps", "-a").out


def test_a_port_that_nobody_may_publish_is_refused_with_those_that_can_be_had(service: Service) -> None:
    refused = service.run("run", "-d", "-p", "22:22", service.image, "sleep", "1000")
    assert refused.code == 125
    assert "choose one of 1024-32767" in refused.err


@pytest.mark.docker
def test_a_page_is_served_at_a_port_of_the_machine_that_was_chosen(docker_service: Service) -> None:
    made = docker_service.run("run", "-d", "--wait", "--name", "page", "-p", "80", docker_service.image, *web.SERVES)
    assert made.code == 0, made.err
    (found,) = json.loads(docker_service.run("port", "-o", "json", "page").out)
    wait_for(lambda: web.page(found["host_port"]) == b"hello\n")
    again = docker_service.run("restart", "-t", "0", "page")
    assert again.code == 0, again.err
    wait_for(lambda: web.page(found["host_port"]) == b"hello\n")
    assert docker_service.run("rm", "-f", "page").code == 0
    assert web.page(found["host_port"]) is None
