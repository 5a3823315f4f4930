# SPDX-License-Identifier: Apache-2.0
"""The identity port: a token in, a caller out. There is no unauthenticated mode."""

from typing import Protocol

from zun.model.caller import Caller


class Identity(Protocol):
    """Who a token belongs to."""

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate` in a 401, e.g. `Keystone uri="…"`."""

    def cached(self, token: str) -> Caller | None:
        """The caller when the token is known to be good at this moment without asking anybody, else None. Must be fast."""

    async def authenticate(self, token: str) -> Caller:
        """The caller. Raises `Denied` (401) for an unknown, expired or revoked token, `Unavailable` when nobody can be asked."""

    async def close(self) -> None:
        """Let go of connections."""
