# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the service answers: made-up requests after its own OpenAPI document, and ones that break every rule."""

import random
import socket
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from support.service import Service, eventually, service

pytestmark = [pytest.mark.timeout(500), pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NAME = "web"
EXAMPLES = 12
FEW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class House:
    """A service with one container, which is made again whenever a request has removed it."""

    service: Service
    http: httpx.Client
    session: requests.Session

    def prepare(self) -> None:
        """Have a container called `web` that runs."""
        view = self.http.get(f"/v1/containers/{NAME}")
        if view.status_code == 404:
            body = {"image": "busybox", "name": NAME, "command": ["sleep", "9999"], "interactive": True}
            self.http.post("/v1/containers", params={"run": "true"}, json=body)
            eventually(lambda: self.http.get(f"/v1/containers/{NAME}").json()["status"] == "Running", "it runs")

    def send(self, case: Case, *, real: bool) -> None:
        """Send it, with the name of a container that is there if `real`; the answer must be one a client can use."""
        kwargs = case.as_transport_kwargs(base_url=self.service.url)
        if real and "{ident}" in case.path:
            kwargs["url"] = self.service.url + case.path.replace("{ident}", NAME).replace("{request_id}", "req-1")
        kwargs.update(stream=True, timeout=20, allow_redirects=False)
        kwargs["headers"] = dict(kwargs.get("headers") or {}) | {"X-Auth-Token": self.service.token}
        kwargs["headers"].setdefault("OpenStack-API-Version", "container latest")
        try:
            answer = self.session.request(**kwargs)
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
            return  # the client itself refuses to send it
        with answer:
            self.judge(answer, f"{case.method} {kwargs['url']} {kwargs.get('params')} {kwargs.get('json')}")

    def judge(self, answer: requests.Response, what: str) -> None:
        """No 5xx; an error says in JSON what is wrong."""
        assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text}"
        assert answer.headers.get("x-openstack-request-id", "").startswith("req-"), what
        if answer.status_code >= 400:
            body = answer.json()
            assert body["errors"][0]["title"] or answer.status_code in (404, 405, 406), f"{what}: {body}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    quota = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\ndisk = -1\n"
    with (
        service(tmp_path_factory.mktemp("fuzz") / "state", settings=quota) as running,
        running.client() as http,
        requests.Session() as session,
    ):
        yield House(running, http, session)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_no_request_made_after_the_document_ends_in_an_internal_error(house: House, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(house.http.get("/v1/openapi.json").json())
    wrong: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()
        house.prepare()

        @seed(1)
        @FEW
        @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def ask(case: Case, real: bool) -> None:
            house.send(case, real=real)

        try:
            ask()
        except Unsatisfiable:
            continue  # it takes nothing that could be wrong
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


def _noise(rng: random.Random, length: int) -> bytes:
    return bytes(rng.choice(string.printable.encode()) for _ in range(length))


BODIES = [
    b"", b"null", b"[]", b"0", b'"text"', b"{", b"{}}", b"\xff\xfe", b'{"image": 1}', b'{"image": "x", "image": "y"}',
    b'{"image": "busybox", "environment": {"A": {"B": []}}}', b'{"image": "busybox", "cpu": 1e999}',
    b'{"image": "busybox", "cpu": NaN}', b'{"image": "busybox", "memory": 99999999999999999999999999}',
    b'{"image": "\\ud800"}', b'{"image": "busybox\\u0000"}', b"[" * 100_000, b'{"a":' * 20_000,
    b'{"image": "busybox", "command": ["' + b"x" * 100_000 + b'"]}',
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {"Content-Type": "text/xml"}, {"Content-Type": ";;;"}, {"Accept": "text/html"}, {"Accept": ",,;q=x"},
    {"OpenStack-API-Version": "container 99999999999999999999.1"}, {"OpenStack-API-Version": "container 1.40, container"},
    {"OpenStack-API-Version": "\u00e9"}, {"X-Auth-Token": "\u00e9"}, {"X-Auth-Token": ""}, {"Host": "bad host/:x"},
    {"X-Forwarded-Host": "[::"}, {"X-Forwarded-Proto": "gopher"}, {"Content-Encoding": "gzip"}, {"Range": "bytes=x"},
    {"Last-Event-ID": "x"}, {"Origin": "null"}, {"Expect": "nonsense"},
]  # fmt: skip


def test_bodies_that_are_no_requests_are_refused_in_json(house: House) -> None:
    house.prepare()
    for path in (
        "/v1/containers",
        "/v1/registries",
        "/v1/images",
        "/v1/networks",
        "/v1/capsules",
        f"/v1/containers/{NAME}/execute",
    ):
        for body in BODIES:
            answer = house.http.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (path, body[:80], answer.text)
    for body in BODIES:
        answer = house.http.patch(f"/v1/containers/{NAME}", content=body)
        assert answer.status_code < 500, (body[:80], answer.text)
        answer = house.http.post(f"/v1/containers/{NAME}/put_archive", params={"path": "/tmp"}, content=body)
        assert answer.status_code < 500, (body[:80], answer.text)


def test_headers_that_make_no_sense_are_no_internal_error(house: House) -> None:
    for headers in HEADERS:
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        for method, path in [
            ("GET", "/v1/containers"),
            ("POST", "/v1/containers"),
            ("GET", "/v1/watch?since=1"),
            ("GET", "/"),
        ]:
            with house.http.stream(method, path, headers=raw, timeout=10) as answer:
                assert answer.status_code < 500, (method, path, headers, answer.status_code)


@pytest.mark.parametrize("number", range(3))
def test_noise_on_the_wire_harms_nobody(house: House, number: int) -> None:
    rng = random.Random(number)
    host, port = house.service.url.removeprefix("http://").split(":")
    lines = [b"GET /v1/containers/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /" + b"a" * 100_000, b"\x16\x03\x01\x02"]
    for piece in [*lines, *(_noise(rng, 300) for _ in range(20))]:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(piece + b"\r\n\r\n")
    assert house.http.get("/healthcheck").status_code == 200


QUERIES: list[dict[str, Any]] = [
    {"limit": "1e3"}, {"limit": "\u0661"}, {"marker": "x" * 3000}, {"sort_key": "__class__"}, {"name": "\x00"},
    {"all_projects": "maybe"}, {"since": "9" * 40}, {"tail": "-1"}, {"path": "\x00"}, {"path": "../../.."},
    {"timeout": "9" * 30}, {"signal": "0"}, {"h": "9" * 20, "w": "1"}, {"command": "'"}, {"ps_args": "; rm"},
]  # fmt: skip


def test_query_values_out_of_this_world_are_refused_not_crashed_on(house: House) -> None:
    house.prepare()
    one = f"/v1/containers/{NAME}"
    paths = ["/v1/containers", "/v1/images", "/v1/hosts", "/v1/registries", *(
        f"{one}/{verb}" for verb in ("", "logs", "top", "get_archive", "archive", "stats", "container_actions", "attach")
    )]  # fmt: skip
    posts = [
        f"{one}/{verb}" for verb in ("stop", "kill", "resize", "execute_resize", "execute", "commit", "network_attach")
    ]
    for query in QUERIES:
        for method, path in [*(("GET", path) for path in paths), *(("POST", path) for path in posts)]:
            answer = house.http.request(method, path, params=query)
            assert answer.status_code < 500, (method, path, query, answer.text)
