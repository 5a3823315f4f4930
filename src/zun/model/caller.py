# SPDX-License-Identifier: Apache-2.0
"""Who asks: the outcome of authentication, and the context a request carries through the services."""

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """An authenticated user in a project. `is_admin` is decided by policy (`context_is_admin`) once per token."""

    user_id: str
    project_id: str
    roles: frozenset[str]
    is_admin: bool = False
    user_name: str = ""
    project_name: str = ""
    expires_at: float | None = None


class RequestContext(msgspec.Struct, frozen=True):
    """One request: who, and under which id its action will be found."""

    caller: Caller
    request_id: str
    microversion: tuple[int, int] = (1, 40)
