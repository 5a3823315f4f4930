# SPDX-License-Identifier: Apache-2.0
"""A token that expires while zunctl works is replaced by a new login, where zunctl knows how to log in."""

from collections.abc import Callable

import httpx
import pytest

from support.zunctl import refusal
from zun.cli.access import Access
from zun.cli.client import Client
from zun.cli.failures import UNREACHABLE, Failure


class Login:
    """Keystone and the service: a new token for each login, of which only `good` is taken."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.logins = 0
        self.seen: list[str] = []

    def access(self) -> Access:
        self.logins += 1
        return Access("http://service", f"token-{self.logins}", "p1", "a cloud", True, self.access)

    def answer(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["X-Auth-Token"]
        self.seen.append(token)
        return httpx.Response(200, json={"uuid": "u1"}) if token == self.good else refusal(401, "expired")


def by_request(client: Client) -> object:
    return client.get("/v1/containers/u1")


def by_stream(client: Client) -> object:
    with client.stream("GET", "/v1/watch") as reply:
        reply.read()
        return reply.json()


WAYS = pytest.mark.parametrize("ask", [by_request, by_stream])


@WAYS
def test_a_token_that_expired_is_replaced_once_and_used_from_then_on(ask: Callable[[Client], object]) -> None:
    login = Login("token-2")
    client = Client(login.access(), transport=httpx.MockTransport(login.answer))
    assert ask(client) == {"uuid": "u1"}
    assert ask(client) == {"uuid": "u1"}
    assert login.seen == ["token-1", "token-2", "token-2"]


@WAYS
def test_a_service_that_takes_no_token_is_not_asked_for_ever(ask: Callable[[Client], object]) -> None:
    login = Login("none is good")
    client = Client(login.access(), transport=httpx.MockTransport(login.answer))
    with pytest.raises(Failure, match="does not accept the token") as failed:
        ask(client)
    assert failed.value.exit_code == UNREACHABLE
    assert login.seen == ["token-1", "token-2"]


@WAYS
def test_a_token_alone_cannot_be_replaced(ask: Callable[[Client], object]) -> None:
    login = Login("another")
    client = Client(Access("http://service", "mine", "p1", "ZUN_TOKEN"), transport=httpx.MockTransport(login.answer))
    with pytest.raises(Failure, match="does not accept the token"):
        ask(client)
    assert login.seen == ["mine"]


def test_what_is_sent_piece_by_piece_is_not_sent_twice() -> None:
    login = Login("token-2")
    client = Client(login.access(), transport=httpx.MockTransport(login.answer))
    with pytest.raises(Failure), client.stream("PUT", "/v1/containers/u1/archive", content=iter([b"data"])):
        pass
    assert login.seen == ["token-1"]
