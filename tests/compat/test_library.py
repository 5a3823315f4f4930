# SPDX-License-Identifier: Apache-2.0
"""python-zunclient as a library: microversions, streams of bytes, pages, errors as its exceptions."""

import io
import tarfile

import pytest

from compat.clients import Library
from support.service import eventually
from support.stage import FOREVER, IMAGE, Stage

VERSIONS = [f"1.{minor}" for minor in range(1, 41)]


def test_the_newest_version_both_know_is_agreed_on(library: Library) -> None:
    assert library("client.api_version", version="1") == "1.40"


@pytest.mark.parametrize("version", VERSIONS)
def test_lists_and_shows_in_every_version(library: Library, stage: Stage, version: str) -> None:
    name = stage.shared()
    assert name in [view["name"] for view in library("containers.list", version=version)]
    assert library("containers.get", name, version=version)["status"] == "Running"


@pytest.mark.parametrize("version", ["1.1", "1.19", "1.20", "1.36", "1.40"])
def test_a_command_is_understood_in_every_form_it_had(library: Library, stage: Stage, version: str) -> None:
    made = library("containers.run", version=version, image=IMAGE, command=["echo", "a b"], memory="32", cpu="0.1")
    stage.until(made["uuid"], "Stopped")
    assert library("containers.logs", made["uuid"], version=version, stdout=True, stderr=True) == "a b\n"


def test_what_a_version_does_not_know_is_refused(library: Library) -> None:
    answer = library.ask("containers.run", version="1.8", image=IMAGE, hostname="h")
    assert answer["error"] == "BadRequest"
    assert "hostname" in answer["message"]
    assert library.ask("hosts.list", version="1.3")["error"] == "NotAcceptable"


def test_bytes_come_back_as_they_went_in(library: Library, stage: Stage) -> None:
    name, content = stage.shared(), bytes(range(256)) * 4096
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("blob")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    library("containers.put_archive", name, path="/tmp", data=packed.getvalue())
    answer = library("containers.get_archive", name, path="/tmp/blob")
    assert answer["stat"]["size"] == len(content)
    assert library("containers.execute", name, command="wc -c /tmp/blob")["output"].split()[0] == str(len(content))


def test_pages_are_followed_to_the_end(library: Library, stage: Stage) -> None:
    names = {stage.make("Created") for _ in range(3)}
    seen = [view["name"] for view in library("containers.list", limit=10_000)]
    assert names <= set(seen)
    first = library("containers.list", limit=2, sort_key="name")
    assert [view["name"] for view in first] == sorted(seen)[:2]
    rest = library("containers.list", marker=first[-1]["uuid"], limit=10_000, sort_key="name")
    assert [view["name"] for view in [*first, *rest]] == sorted(seen)


def test_errors_are_exceptions_with_the_servers_words(library: Library, stage: Stage) -> None:
    name = stage.shared()
    for method, arguments, options, error, words in [
        ("containers.get", ("nobody",), {}, "NotFound", "nobody"),
        ("containers.unpause", (name,), {}, "Conflict", "unpause"),
        ("containers.run", (), {"image": IMAGE, "memory": "1"}, "BadRequest", "memory"),
        ("containers.run", (), {"image": IMAGE, "image_driver": "glance"}, "BadRequest", "Glance"),
        ("containers.run", (), {"image": IMAGE, "nets": [{"port": "p"}]}, "BadRequest", "Neutron"),
        ("containers.run", (), {"image": IMAGE, "nets": [{"network": "nowhere"}]}, "NotFound", "nowhere"),
        ("containers.run", (), {"image": IMAGE, "privileged": True}, "Forbidden", "privileged"),
        ("containers.run", (), {"image": IMAGE, "security_groups": ["web"]}, "BadRequest", "Neutron"),
        ("containers.kill", (name, "SIGNONE"), {}, "BadRequest", "SIGNONE"),
        ("containers.get_archive", (name, "/no/such"), {}, "", "/no/such"),
    ]:
        answer = library.ask(method, *arguments, **options)
        assert answer.get("error", "") if not error else answer.get("error") == error, (method, options, answer)
        assert words in answer["message"], answer


def test_a_stranger_token_is_unauthorized(library: Library, stage: Stage) -> None:
    with stage.service.client(token="wrong") as http:
        assert http.get("/v1/containers").json()["error"]["code"] == 401


def test_a_container_that_cannot_be_placed_says_why(library: Library, stage: Stage) -> None:
    made = library("containers.run", image=IMAGE, command=FOREVER, memory="8192", cpu="16", hints={})
    view = eventually(
        lambda: (now := stage.show(made["uuid"]))["status"] in ("Error", "Running") and now, "it is decided"
    )
    assert view["status"] == "Running" or view["status_reason"]
    library("containers.delete", made["uuid"], force=True)
