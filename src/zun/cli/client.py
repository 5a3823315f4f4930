# SPDX-License-Identifier: Apache-2.0
"""The REST client of zunctl: requests in, plain JSON out, every failure one sentence."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from zun.cli.access import Access
from zun.cli.failures import NOT_FOUND, REFUSED, UNREACHABLE, Failure

MICROVERSION = "container 1.40"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0

Query = dict[str, str | int | bool | None]


class Client:
    """Speaks with one service. `transport` is for tests."""

    def __init__(self, access: Access, *, debug: bool = False, transport: httpx.BaseTransport | None = None) -> None:
        self.access = access
        self._debug = debug
        self._http = httpx.Client(
            base_url=access.url,
            headers={"X-Auth-Token": access.token, "OpenStack-API-Version": MICROVERSION, "Accept": "application/json"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            verify=access.verify,
            transport=transport,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Any:
        """GET and the decoded answer."""
        return self.request("GET", path, query=query)

    def request(
        self, method: str, path: str, *, query: Query | None = None, body: object | None = None, endless: bool = False
    ) -> Any:
        """One call. `endless`: the answer may take as long as it likes (exec). Raises `Failure`."""
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS) if endless else httpx.USE_CLIENT_DEFAULT
        with self._said(method, path):
            reply = self._http.request(method, path, params=_text(query), json=body, timeout=timeout)
            self.check(reply)
            return reply.json() if reply.content else None

    def items(self, path: str, key: str, query: Query | None = None) -> list[dict[str, Any]]:
        """A whole collection, page after page."""
        found: list[dict[str, Any]] = []
        answer = self.get(path, query)
        while True:
            found += answer[key]
            if not answer.get("next"):
                return found
            url = httpx.URL(answer["next"])
            answer = self.get(url.raw_path.decode("ascii"))

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """A call whose answer is read piece by piece, without a time limit."""
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        with (
            self._said(method, path),
            self._http.stream(
                method, path, params=_text(query), content=content, headers=headers, timeout=timeout
            ) as reply,
        ):
            if reply.is_error:
                reply.read()
            self.check(reply)
            yield reply

    @contextmanager
    def _said(self, method: str, path: str) -> Iterator[None]:
        """Transport errors as sentences; with --debug, what is sent (never the token)."""
        if self._debug:
            print(f"> {method} {self.access.url}{path}", file=sys.stderr)
        try:
            yield
        except httpx.ConnectError as error:
            raise Failure(
                f"Nothing answers at {self.access.url} ({self.access.source}). Is the service running? `make run` starts a local one.",
                UNREACHABLE,
            ) from error
        except httpx.TimeoutException as error:
            raise Failure(f"{self.access.url} does not answer in time; try again.", UNREACHABLE) from error
        except httpx.HTTPError as error:
            raise Failure(f"The connection to {self.access.url} broke: {error}. Try again.", UNREACHABLE) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Failure(f"{self.access.url} is no URL of a service: {error}", UNREACHABLE) from error

    def check(self, reply: httpx.Response) -> None:
        """Raise the `Failure` an answer stands for, if it is one."""
        if self._debug:
            request_id = reply.headers.get("x-openstack-request-id", "-")
            print(f"< {reply.status_code} {request_id}", file=sys.stderr)
        if not reply.is_error:
            return
        if reply.status_code == httpx.codes.UNAUTHORIZED:
            raise Failure(
                f"{self.access.url} does not accept the token from {self.access.source}.", UNREACHABLE, status=401
            )
        code = NOT_FOUND if reply.status_code == httpx.codes.NOT_FOUND else REFUSED
        raise Failure(_message(reply), code, status=reply.status_code)


def container_path(ident: str, *rest: str) -> str:
    """The path of a container, or of something below it."""
    return "/".join(["/v1/containers", quote(ident, safe=""), *rest])


def _message(reply: httpx.Response) -> str:
    try:
        body = reply.json()
        error = body["errors"][0]
        return str(error.get("detail") or error.get("title") or f"The service answered {reply.status_code}.")
    except (ValueError, LookupError, TypeError):
        return f"The service answered {reply.status_code} without saying why."


def _text(query: Query | None) -> dict[str, str] | None:
    if query is None:
        return None
    return {key: str(value) for key, value in query.items() if value is not None}
