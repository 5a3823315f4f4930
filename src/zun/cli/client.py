# SPDX-License-Identifier: Apache-2.0
"""The REST client of zunctl: requests in, plain JSON out, every failure one sentence."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from zun.cli.access import Access
from zun.cli.failures import NOT_FOUND, REFUSED, UNREACHABLE, Failure, Lost

MICROVERSION = "container 1.40"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
REQUEST_ID = "x-openstack-request-id"
TOKEN = "X-Auth-Token"  # noqa: S105 - the header's name

Query = Mapping[str, str | int | bool | None]


class Client:
    """Speaks with one service. `transport` is for tests. Threads may share it."""

    def __init__(self, access: Access, *, debug: bool = False, transport: httpx.BaseTransport | None = None) -> None:
        self.access = access
        self._debug = debug
        try:
            self._http = httpx.Client(
                base_url=access.url,
                headers={
                    TOKEN: access.token,
                    "OpenStack-API-Version": MICROVERSION,
                    "Accept": "application/json",
                },
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                # Without TLS nothing is verified; reading the system's certificates would only cost time.
                verify=access.verify if access.url.startswith("https:") else False,
                transport=transport,
            )
        except (httpx.InvalidURL, OSError) as error:
            raise Failure(f"{access.url} ({access.source}) cannot be used: {error}", UNREACHABLE) from error

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Any:
        """GET and the decoded answer."""
        return self.request("GET", path, query=query)

    def request(self, method: str, path: str, *, query: Query | None = None, body: object | None = None) -> Any:
        """One call and its decoded answer. Raises `Failure`."""
        return self.decoded(self.send(method, path, query=query, body=body))

    def send(self, method: str, path: str, *, query: Query | None = None, body: object | None = None) -> httpx.Response:
        """One call, answered well. Raises `Failure`."""
        with self._said(method, path, query, body):
            reply = self._http.request(method, path, params=_text(query), json=body)
            if self._logged_in_again(reply):
                reply = self._http.request(method, path, params=_text(query), json=body)
        self._check(reply)
        return reply

    def decoded(self, reply: httpx.Response) -> Any:
        """The JSON of an answer."""
        if not reply.content:
            return None
        try:
            return reply.json()
        except ValueError as error:
            raise Failure(
                f"{self.access.url} answered something that is no JSON; is it the URL of the container service?",
                UNREACHABLE,
            ) from error

    def items(self, path: str, key: str, query: Query | None = None) -> list[dict[str, Any]]:
        """A whole collection, page after page."""
        found: list[dict[str, Any]] = []
        answer = self.get(path, query)
        while True:
            found += answer[key]
            if not answer.get("next"):
                return found
            # The service may see itself under another name than we do (a proxy): only what follows /v1 counts.
            _, _, rest = str(answer["next"]).partition("/v1/")
            answer = self.get(f"/v1/{rest}")

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_seconds: float | None = None,
    ) -> Iterator[httpx.Response]:
        """A call whose answer is read piece by piece. `silence_seconds`: how long the next piece may take (None: for ever).

        A connection that breaks while it is read raises `Lost`.
        """
        with self._said(method, path, query, None):
            request = self._http.build_request(
                method,
                path,
                params=_text(query),
                content=content,
                headers={"Accept": "*/*", **(headers or {})},
                timeout=httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS),
            )
            reply = self._http.send(request, stream=True)
            try:
                if content is None and self._logged_in_again(reply):  # what is sent piece by piece cannot be sent twice
                    reply.close()
                    request.headers[TOKEN] = self.access.token
                    reply = self._http.send(request, stream=True)
                if reply.is_error:
                    reply.read()
                self._check(reply)
                yield reply
            finally:
                reply.close()

    def log_in_again(self, refused: str) -> bool:
        """Whether a refused token could be replaced by a new login; then the request is worth another try. Raises `Failure`."""
        if self.access.again is None:
            return False
        if refused == self.access.token:  # else another thread has done it meanwhile
            self.access = self.access.again()
            self._http.headers[TOKEN] = self.access.token
        return True

    def _logged_in_again(self, reply: httpx.Response) -> bool:
        return reply.status_code == httpx.codes.UNAUTHORIZED and self.log_in_again(reply.request.headers[TOKEN])

    @contextmanager
    def _said(self, method: str, path: str, query: Query | None, body: object | None) -> Iterator[None]:
        """Transport errors as sentences; with --debug, what is sent (never a secret)."""
        if self._debug:
            _show_request(f"{self.access.url}{path}", method, _text(query), body)
        try:
            yield
        except httpx.ConnectError as error:
            raise Lost(
                f"Nothing answers at {self.access.url} (from {self.access.source}): {error}."
                " Is the service running? `make run` starts a local one."
            ) from error
        except httpx.TimeoutException as error:
            raise Lost(f"{self.access.url} does not answer in time; try again.") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Failure(f"{self.access.url} is no URL of a service: {error}", UNREACHABLE) from error
        except httpx.HTTPError as error:
            raise Lost(f"The connection to {self.access.url} broke: {error}. Try again.") from error

    def _check(self, reply: httpx.Response) -> None:
        """Raise the `Failure` an answer stands for, if it is one."""
        if self._debug:
            print(f"< {reply.status_code} {reply.headers.get(REQUEST_ID, '-')}", file=sys.stderr)
        if not reply.is_error and not reply.is_redirect:
            return
        if reply.status_code == httpx.codes.UNAUTHORIZED:
            refused = f"{self.access.url} does not accept the token from {self.access.source}"
            raise Failure(f"{refused}; {_where_to_log_in(reply)}", UNREACHABLE, status=401)
        code = NOT_FOUND if reply.status_code == httpx.codes.NOT_FOUND else REFUSED
        raise Failure(refusal(reply.status_code, reply.content), code, status=reply.status_code)


def container_path(ident: str, *rest: str) -> str:
    """The path of a container, or of something below it."""
    return "/".join(["/v1/containers", quote(ident, safe=""), *rest])


def _show_request(url: str, method: str, query: Mapping[str, str] | None, body: object | None) -> None:
    asked = "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
    print(f"> {method} {url}{asked}", file=sys.stderr)
    if body is not None:
        print(f"> {json.dumps(_without_secrets(body))}", file=sys.stderr)


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {key: "***" if key in ("password", "source") else _without_secrets(kept) for key, kept in value.items()}
    return [_without_secrets(kept) for kept in value] if isinstance(value, list) else value


def _where_to_log_in(reply: httpx.Response) -> str:
    challenge = reply.headers.get("WWW-Authenticate", "")
    if challenge.startswith("Keystone"):
        return (
            f"it takes those of {challenge.partition('uri=')[2] or 'Keystone'}:"
            " name a cloud with --os-cloud, or source its openrc file."
        )
    return "`zunctl config` shows what is used."


def refusal(status: int, body: bytes) -> str:
    """What an answer that is an error says."""
    try:
        error = json.loads(body)["errors"][0]
        return str(error.get("detail") or error.get("title") or f"The service answered {status}.")
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"The service answered {status} without saying why; is the URL right? `zunctl config` shows it."


def _text(query: Query | None) -> dict[str, str] | None:
    if query is None:
        return None
    return {key: str(value) for key, value in query.items() if value is not None}
