# SPDX-License-Identifier: Apache-2.0
"""What answers at the URL of Keystone may be anything: each answer is a good token, a bad token, or a reason for the operator."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.drivers.identity.keystone.server import KeystoneAway, KeystoneServer, login_of
from zun.model.errors import Denied, Invalid

TOKEN: dict[str, Any] = {
    "user": {"id": "u1", "name": "ann"},
    "project": {"id": "p1", "name": "bakery"},
    "roles": [{"id": "r1", "name": "member"}],
    "expires_at": "2099-01-01T00:00:00.000000Z",
    "issued_at": "2026-01-01T00:00:00.000000Z",
}
REFUSED = json.dumps({"error": {"code": 404, "message": "Could not find token", "title": "Not Found"}})


class Odd:
    """A Keystone that lets the service in, and answers questions about tokens as told. `seen` holds the headers of each."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.login = 201
        self.status = 200
        self.content = json.dumps({"token": TOKEN})
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []


@pytest.fixture
def odd() -> Iterator[Odd]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/auth/tokens" not in self.path:
                links = [{"rel": "self", "href": f"{made.url}/v3/"}]
                self.answer(200, json.dumps({"version": {"id": "v3.14", "status": "stable", "links": links}}))
                return
            made.seen.append((self.path, dict(self.headers)))
            self.answer(made.status, made.content, made.headers)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            endpoint = {
                "id": "e",
                "interface": "internal",
                "region_id": "one",
                "region": "one",
                "url": f"{made.url}/v3",
            }
            catalog = [{"id": "s", "type": "identity", "name": "keystone", "endpoints": [endpoint]}]
            token = json.dumps({"token": TOKEN | {"catalog": catalog, "methods": ["password"]}})
            self.answer(made.login, token, {"X-Subject-Token": "of-the-service"})

        def answer(self, status: int, content: str, headers: dict[str, str] | None = None) -> None:
            raw = content.encode()
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Odd(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    thread.join(timeout=60)
    server.server_close()


@pytest.fixture
def keystone(odd: Odd) -> Iterator[KeystoneServer]:
    options = KeystoneOptions(auth_url=odd.url, username="zun", password="secret-pw", project_name="service")
    made = KeystoneServer(options)
    yield made
    made.close()


def test_a_good_token_is_asked_about_with_the_services_own(odd: Odd, keystone: KeystoneServer) -> None:
    found = keystone.fetch("somebodys")
    assert (found.user.id, found.role_names) == ("u1", {"member"})
    ((path, headers),) = odd.seen
    assert path == "/v3/auth/tokens?nocatalog=1"
    assert (headers["X-Subject-Token"], headers["X-Auth-Token"]) == ("somebodys", "of-the-service")
    assert headers["OpenStack-Identity-Access-Rules"] == "1"


def test_a_token_that_keystone_does_not_know_is_a_401(odd: Odd, keystone: KeystoneServer) -> None:
    odd.status, odd.content = 404, REFUSED
    with pytest.raises(Denied) as denied:
        keystone.fetch("somebodys")
    assert denied.value.http_status == 401


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (404, "<html>nothing here</html>", "is it Keystone"),
        (404, "[]", "is it Keystone"),
        (200, "<html>welcome</html>", "is no Keystone"),
        (200, "{}", "is no Keystone"),
        (200, '{"token": {"user": 5}}', "is no Keystone"),
        (401, "{}", "give it the role service"),
        (403, "{}", "give it the role service"),
        (500, "{}", "answered 500"),
        (503, "busy", "answered 503"),
        (429, "", "answered 429"),
    ],
)
def test_any_other_answer_is_no_verdict_on_the_token(
    odd: Odd, keystone: KeystoneServer, status: int, content: str, reason: str
) -> None:
    odd.status, odd.content = status, content
    with pytest.raises(KeystoneAway) as away:
        keystone.fetch("somebodys")
    assert reason in away.value.reason
    assert away.value.http_status == 503
    for text in (away.value.reason, away.value.message):
        assert "secret-pw" not in text
        assert "somebodys" not in text


def test_a_redirect_takes_no_token_elsewhere(odd: Odd, keystone: KeystoneServer) -> None:
    odd.status, odd.content, odd.headers = 302, "", {"Location": f"{odd.url}/v3/auth/tokens?elsewhere"}
    with pytest.raises(KeystoneAway, match="try again"):
        keystone.fetch("somebodys")
    assert not [path for path, _ in odd.seen if "elsewhere" in path]


def test_a_login_that_is_refused_is_the_operators_business(odd: Odd, keystone: KeystoneServer) -> None:
    odd.login = 401
    with pytest.raises(KeystoneAway) as away:
        keystone.fetch("somebodys")
    assert "refuses the login of user zun of project service" in away.value.reason
    assert "zun" not in away.value.message.replace("zund", "")


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"auth_url": ""}, "auth_url"),
        ({"auth_url": "keystone:5000"}, "auth_url"),
        ({"username": ""}, "username"),
        ({"password": ""}, "password"),
        ({"project_name": ""}, "project_name"),
        ({"auth_type": "v3applicationcredential"}, "application_credential_id"),
        ({"auth_type": "v3applicationcredential", "application_credential_id": "x"}, "application_credential_secret"),
    ],
)
def test_what_is_missing_in_the_file_is_named_at_the_start(changed: dict[str, str], missing: str) -> None:
    options = KeystoneOptions(auth_url="http://k", username="zun", password="secret-pw", project_name="service")
    with pytest.raises(Invalid, match=rf"\[keystone_authtoken\] {missing}") as invalid:
        login_of(msgspec.structs.replace(options, **changed))
    assert "secret-pw" not in invalid.value.message


def test_options_are_printed_without_their_secrets() -> None:
    options = KeystoneOptions(
        auth_url="http://k", username="zun", password="secret-pw", application_credential_secret="s3"
    )
    for text in (repr(options), str(options), f"{[options]}"):
        assert "secret-pw" not in text
        assert "s3" not in text
        assert "username='zun'" in text
