# SPDX-License-Identifier: Apache-2.0
"""How a machine becomes a node: it makes its keys, asks the control plane with a token, checks what it gets, and keeps it.

May be broken off at any moment and begun again with the same token: the keys are on disk before anything is asked.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from zun.agent.membership import Membership, MembershipFiles
from zun.base.backoff import Backoff
from zun.model.errors import Conflict, Denied, Invalid, Timeout, Unavailable, ZunError
from zun.model.node_names import check_node_name
from zun.pki.exchange import JoinAnswer, JoinRequest, Signed, read_answer, sign_request
from zun.pki.granted import check_granted, fingerprint_of
from zun.pki.requests import new_request
from zun.pki.tokens import JoinToken

PATH = "/v1/nodes/join"
SKEW_SECONDS = 300
_ANSWER_SECONDS = 90.0
_MAX_ANSWER_BYTES = 64 * 1024
_AGAIN = Backoff(first_seconds=0.5, cap_seconds=10.0, attempts=10)

Post = Callable[[str, bytes], tuple[int, bytes]]
"""Sends a body to a URL; the answer's status and body. Raises `Unavailable` when there is none."""


class Applicant(msgspec.Struct, frozen=True):
    """What a machine is before it joins: the name it wants ("" for the token's), its uuid, the key (hex) for its secrets."""

    name: str
    uuid: str
    seal_key: str


def post_over_http(url: str, body: bytes) -> tuple[int, bytes]:
    """One request, without proxies; certificates of HTTPS are checked by the system's authorities."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - the scheme was checked
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())
    try:
        with opener.open(request, timeout=_ANSWER_SECONDS) as reply:
            return reply.status, reply.read(_MAX_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(_MAX_ANSWER_BYTES)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(
            f"{url} cannot be reached ({reason}); check the network, and the URL in the token."
        ) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """An API does not send elsewhere."""


class Joining:
    """Joins with one token. `wait` sleeps, and `post` sends, so that tests own both."""

    def __init__(
        self,
        files: MembershipFiles,
        token: JoinToken,
        *,
        now: Callable[[], float] = time.time,
        post: Post = post_over_http,
        wait: Callable[[float], None] = time.sleep,
        again: Backoff = _AGAIN,
    ) -> None:
        self._files = files
        self._token = token
        self._now = now
        self._post = post
        self._wait = wait
        self._again = again
        for url in token.urls:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise Invalid("The token names an API by what is no URL; set [join] api_urls and make a new one.")

    def join(self, applicant: Applicant) -> Membership:
        """Become a node, or find that this token made the machine one already.

        Raises `Invalid`, `Denied` and `Conflict` with what to do; `Unavailable` when nobody answered for about a minute.
        """
        token = self._token
        known = self._files.load()
        if known is not None and known.token_id == token.id:
            return known
        name = check_node_name(applicant.name or token.name)
        if token.name and name != token.name:
            raise Conflict(
                f"This token was made for node {token.name}, not {name}; join under that name, or make another token."
            )
        if known is not None and known.node != name:
            raise Conflict(
                f"This machine is node {known.node}, and its containers belong to that. Join again under this name, or remove the node "
                "(`zunctl node remove`), stop its containers, and empty the state directory."
            )
        key = self._files.pending_key()
        request = JoinRequest(name, applicant.uuid, new_request(key, f"node-{name}"), applicant.seal_key, self._now())
        answer = self._asked(sign_request(token.id, token.secret, request))
        self._check(answer, name)
        check_granted(answer.certificate, answer.trusted, key=key, node=name, now=self._now())
        membership = Membership(name, answer.endpoints, token.id)
        self._files.save(membership, key, answer.certificate, answer.trusted)
        return membership

    def _asked(self, request: Signed) -> JoinAnswer:
        """The answer of the first API that gives one."""
        failure: ZunError = Unavailable("Nobody was asked.")
        for delay in (*self._again.delays(), None):
            for url in self._token.urls:
                try:
                    return self._asked_at(url.rstrip("/") + PATH, request)
                except (Unavailable, Timeout) as error:
                    failure = error
            if delay is not None:
                self._wait(delay)
        raise failure

    def _asked_at(self, url: str, request: Signed) -> JoinAnswer:
        status, body = self._post(url, msgspec.json.encode(request))
        if status != 200:
            raise _refusal(url, status, body)
        try:
            signed = msgspec.json.decode(body, type=Signed)
            return read_answer(self._token.secret, request, signed)
        except (msgspec.DecodeError, Denied) as error:
            raise Unavailable(
                f"What answers at {url} does not know this token's secret: it is not the service that made the token, or somebody "
                "stands in between. Nothing was accepted from it."
            ) from error

    def _check(self, answer: JoinAnswer, name: str) -> None:
        if answer.node != name or not answer.endpoints:
            raise Invalid("The service's answer does not fit what was asked; use the same version on both machines.")
        if fingerprint_of(answer.trusted) != self._token.ca:
            raise Invalid(
                "The service's authority is another one than the token names; make a new token and join with that."
            )
        ahead = self._now() - answer.at
        if abs(ahead) > SKEW_SECONDS:
            raise Invalid(
                f"This machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the service's; set it, then "
                "join again with the same token."
            )


def _refusal(url: str, status: int, body: bytes) -> ZunError:
    """What an error answer means. Its words are the other side's: shown, but not believed."""
    told = _words(body) or f"status {status}"
    if status in (429, 502, 503, 504):
        return Unavailable(f"{url} says: {told}")
    kinds: dict[int, type[ZunError]] = {401: Denied, 403: Denied, 409: Conflict}
    if status == 404:
        told = "there is no such URL; check that the token's URL is the container service's"
    return kinds.get(status, Invalid)(f"{url} says: {told}")


def _words(body: bytes) -> str:
    """The sentence in an error answer, in characters that a terminal can show."""
    try:
        found: Any = msgspec.json.decode(body)
        told = found["error"]["message"] if "error" in found else found["errors"][0]["detail"]
    except (msgspec.DecodeError, RecursionError, KeyError, IndexError, TypeError):
        return ""
    return "".join(letter for letter in str(told)[:600] if letter.isprintable())
