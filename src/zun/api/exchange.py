# SPDX-License-Identifier: Apache-2.0
"""What is known of one HTTP exchange while it passes through the layers of the application.

It travels in the ASGI scope; each layer fills in its part, and nobody parses the same header twice.
"""

from collections.abc import Callable
from typing import Any

from starlette.types import Scope

from zun.model.caller import Caller
from zun.model.microversions import MINIMUM, Microversion

_KEY = "zun.exchange"


class Keep:
    """A handler's permission to keep its answer: as long as `current()` equals `token`, and until the instant `until`."""

    __slots__ = ("current", "token", "until")

    def __init__(self, current: Callable[[], object], token: object, until: float) -> None:
        self.current = current
        self.token = token
        self.until = until


class Exchange:
    """One request and its answer."""

    __slots__ = ("base_url", "caller", "headers", "keep", "request_id", "route", "started", "status", "version")

    def __init__(self, request_id: str, headers: dict[bytes, bytes], started: float) -> None:
        self.request_id = request_id
        self.headers = headers
        self.started = started
        self.caller: Caller | None = None
        self.version: Microversion = MINIMUM
        self.base_url = ""
        self.route = ""
        self.status = 0
        self.keep: Keep | None = None


def begin(scope: Scope, exchange: Exchange) -> None:
    """Put the exchange into the scope."""
    scope[_KEY] = exchange


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a scope that passed the outermost layer."""
    found: Any = scope[_KEY]
    assert isinstance(found, Exchange)  # noqa: S101 - the outermost layer put it there
    return found
