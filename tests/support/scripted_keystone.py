# SPDX-License-Identifier: Apache-2.0
"""Keystone for tests of the identity that asks it: a table of tokens, answered in whatever thread asks, slowly or not at all if wished."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from zun.base.clock import ManualClock
from zun.drivers.identity.keystone.body import CatalogEntry, Named, TokenBody
from zun.drivers.identity.keystone.server import KeystoneAway, unknown_token

HOUR = 3600.0


@dataclass
class ScriptedKeystone:
    """Change anything at any time. While `open` is clear no answer is given; while `away` nobody is there."""

    clock: ManualClock
    tokens: dict[str, TokenBody] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: str = ""
    closed: bool = False
    open: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def admit(
        self,
        user: str,
        *roles: str,
        project: str | None = "p1",
        expires: float = HOUR,
        rules: list[dict[str, str]] | None = None,
        **members: Any,
    ) -> str:
        """A token."""
        token = f"token-of-{user}"
        credential = None if rules is None else {"id": "c1", "access_rules": rules}
        self.tokens[token] = TokenBody(
            user=Named(user, f"{user}'s name"),
            expires_at=datetime.fromtimestamp(self.clock.now() + expires, UTC),
            project=None if project is None else Named(project, f"{project}'s name"),
            roles=[Named(f"id-of-{role}", role) for role in roles],
            application_credential=credential,
            catalog=[CatalogEntry("container")],
            **members,
        )
        return token

    def fetch(self, token: str, *, allow_expired: bool = False) -> TokenBody:
        """What Keystone says."""
        self.asked.append(token)
        self.begun.set()
        assert self.open.wait(timeout=60), "the test never let it answer"
        if self.away:
            raise KeystoneAway(self.away)
        found = self.tokens.get(token)
        if found is None or (found.expires_at.timestamp() <= self.clock.now() and not allow_expired):
            raise unknown_token()
        return found

    def close(self) -> None:
        """Nothing is held."""
        self.closed = True
