# SPDX-License-Identifier: Apache-2.0
"""Identity for tests of what stands on the port: a table of tokens, and a switch for being away."""

from zun.base.clock import Clock
from zun.drivers.identity.base import Asked
from zun.model.caller import Caller
from zun.model.errors import Denied, Unavailable


class FakeIdentity:
    """Scriptable: change `callers` and `away` at any time."""

    def __init__(self, clock: Clock, callers: dict[str, Caller] | None = None) -> None:
        self._clock = clock
        self.callers: dict[str, Caller] = dict(callers or {})
        self.away = False

    @property
    def challenge(self) -> str:
        """What a 401 asks for."""
        return 'Token realm="fake"'

    def cached(self, token: str) -> Caller | None:
        """The caller, unless away or expired."""
        caller = None if self.away else self.callers.get(token)
        expired = caller is not None and caller.expires_at is not None and caller.expires_at <= self._clock.now()
        return None if expired else caller

    async def authenticate(self, token: str, asked: Asked) -> Caller:  # noqa: ARG002 - a token opens all or nothing
        """The caller. Raises `Unavailable` while away, `Denied` (401)."""
        if self.away:
            raise Unavailable("The identity service does not answer; try again later.")
        caller = self.cached(token)
        if caller is None:
            raise Denied("The token is unknown or expired.", code="", status=401)
        return caller

    async def close(self) -> None:
        """Nothing is held."""
