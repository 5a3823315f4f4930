# SPDX-License-Identifier: Apache-2.0
"""What Keystone says of a token (Identity API v3, `GET /v3/auth/tokens`), as far as this service looks at it."""

from datetime import datetime
from typing import Any

import msgspec


class Named(msgspec.Struct, frozen=True):
    """A user, project, role or domain."""

    id: str
    name: str = ""


class CatalogEntry(msgspec.Struct, frozen=True):
    """One service of the catalogue."""

    type: str
    name: str = ""
    endpoints: list[dict[str, Any]] = []


class TokenBody(msgspec.Struct, frozen=True):
    """A token. Scoped to a project, a domain or the system, or to nothing. `catalog` is there only when it was asked for."""

    user: Named
    expires_at: datetime
    issued_at: datetime | None = None
    project: Named | None = None
    domain: Named | None = None
    system: dict[str, Any] | None = None
    roles: list[Named] = []
    application_credential: dict[str, Any] | None = None
    catalog: list[CatalogEntry] = []

    @property
    def role_names(self) -> frozenset[str]:
        """The roles as the policy knows them: Keystone does not tell upper from lower case."""
        return frozenset(role.name.lower() for role in self.roles)

    @property
    def restricted(self) -> bool:
        """Whether it opens only what the access rules of its application credential name."""
        return (self.application_credential or {}).get("access_rules") is not None


class _Answer(msgspec.Struct, frozen=True):
    token: TokenBody


def decode(content: bytes) -> TokenBody:
    """The token of an answer. Raises `msgspec.DecodeError` for anything else."""
    return msgspec.json.decode(content, type=_Answer).token
