# SPDX-License-Identifier: Apache-2.0
"""The identity port: a token in, a caller out. There is no unauthenticated mode."""

from typing import Protocol

import msgspec

from zun.model.caller import Caller


class Asked(msgspec.Struct, frozen=True):
    """What a token is shown for: some tokens open certain requests only.

    `path` as this service's routes have it, from `/v1` on. `service_token`: of a service that asks on behalf of the user.
    """

    method: str
    path: str
    service_token: str = ""


class Identity(Protocol):
    """Who a token belongs to."""

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate` in a 401, e.g. `Keystone uri="…"`."""

    def cached(self, token: str) -> Caller | None:
        """The caller when the token is known to be good for every request, without asking anybody, else None. Must be fast."""

    async def authenticate(self, token: str, asked: Asked) -> Caller:
        """The caller.

        Raises `Denied`: 401 for an unknown, expired or revoked token, 403 for a good one that is not good here or for this request.
        Raises `Unavailable` when nobody can be asked.
        """

    async def close(self) -> None:
        """Let go of connections."""
