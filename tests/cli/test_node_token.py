# SPDX-License-Identifier: Apache-2.0
"""`zunctl node token` prints what to run on the new machine, and nothing else on standard output."""

import json

import httpx
import pytest

from support.zunctl import refusal, run_here

MADE = {"id": "0123456789abcdef.1700003600", "token": "zun1.abc", "name": None, "expires_at": "2023-11-14T23:13:20"}


class Asked:
    """What the service was asked, and what it answers."""

    def __init__(self, **members: object) -> None:
        self.bodies: list[object] = []
        self.made = MADE | members

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/v1/nodes/tokens")
        self.bodies.append(json.loads(request.content))
        return httpx.Response(201, json=self.made)


def test_the_command_for_the_machine_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    asked = Asked()
    assert run_here(asked, "node", "token") == 0
    printed = capsys.readouterr()
    assert printed.out == "zund compute --join zun1.abc\n"
    assert "a machine that is no node yet, until 2023-11-14T23:13:20 UTC" in printed.err
    assert "--revoke 0123456789abcdef.1700003600" in printed.err
    assert asked.bodies == [{}]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("2H", 7200), ("1d", 86_400)])
def test_a_name_and_a_time_are_sent(capsys: pytest.CaptureFixture[str], text: str, seconds: int) -> None:
    asked = Asked(name="n7")
    assert run_here(asked, "node", "token", "--name", "n7", "--ttl", text) == 0
    assert asked.bodies == [{"name": "n7", "seconds": seconds}]
    assert "For node n7" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "soon", "1w", "-1h", "1.5h", "1h30m"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    assert run_here(Asked(), "node", "token", "--ttl", text) == 2


def test_a_program_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(Asked(), "node", "token", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == MADE


def test_a_token_is_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("DELETE", "/v1/nodes/tokens/0123456789abcdef.1700003600")
        return httpx.Response(204)

    assert run_here(answer, "node", "token", "--revoke", "0123456789abcdef.1700003600") == 0
    assert run_here(answer, "node", "token", "--revoke", "x", "--name", "n7") == 2


def test_a_service_that_no_machine_can_join_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(lambda _: refusal(400, "Machines cannot join this service: …"), "node", "token") == 1
    assert "Machines cannot join this service" in capsys.readouterr().err


def test_the_token_is_not_shown_when_requests_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(Asked(), "node", "token", debug=True) == 0
    assert "zun1.abc" not in capsys.readouterr().err
