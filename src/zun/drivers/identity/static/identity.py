# SPDX-License-Identifier: Apache-2.0
"""Identity from the token file. Finding a token is one hash and one look-up, whose time says nothing of other tokens."""

import logging
from collections.abc import Callable
from pathlib import Path

from zun.base.clock import Clock
from zun.base.watched_file import WatchedFile
from zun.drivers.identity.base import Asked
from zun.drivers.identity.static import tokens
from zun.model.caller import Caller
from zun.model.errors import Denied, Invalid, NotFound

_LOG = logging.getLogger(__name__)
_MAX_TOKEN_CHARACTERS = 1024


class StaticIdentity:
    """Who a token of the file belongs to. Changes of the file count after a second at most.

    Raises `NotFound` or `Invalid` when the file cannot be used at the start. One that becomes unusable later is not taken over: those
    who could come in still can, nobody new, and the log says so.
    """

    def __init__(self, path: Path, *, clock: Clock, is_admin: Callable[[frozenset[str]], bool]) -> None:
        self._path = path
        self._clock = clock
        self._is_admin = is_admin
        self._file = WatchedFile(path, clock)
        self._callers = self._load()

    @property
    def challenge(self) -> str:
        """What a 401 asks for."""
        return 'Token realm="zun"'

    def cached(self, token: str) -> Caller | None:
        """The caller, or None."""
        self._look_for_changes()
        if not token or len(token) > _MAX_TOKEN_CHARACTERS:
            return None
        caller = self._callers.get(tokens.hash_of(token))
        if caller is None or (caller.expires_at is not None and caller.expires_at <= self._clock.now()):
            return None
        return caller

    async def authenticate(self, token: str, asked: Asked) -> Caller:  # noqa: ARG002 - a token opens all or nothing
        """The caller. Raises `Denied` (401)."""
        caller = self.cached(token)
        if caller is None:
            raise Denied(
                "The token is missing, unknown or expired. Send a valid one in X-Auth-Token; 'zund user add' makes one.",
                code="",
                status=401,
            )
        return caller

    async def close(self) -> None:
        """Nothing is held."""

    def _look_for_changes(self) -> None:
        if not self._file.changed():
            return
        try:
            self._callers = self._load()
        except (Invalid, NotFound) as error:
            _LOG.error("The changed token file is not used: %s", error.message)
            return
        _LOG.info("The token file %s was read again: %d tokens.", self._path, len(self._callers))

    def _load(self) -> dict[str, Caller]:
        return {entry.token_sha256: self._caller(entry) for entry in tokens.read(self._path)}

    def _caller(self, entry: tokens.TokenEntry) -> Caller:
        roles = frozenset(entry.roles)
        return Caller(
            user_id=entry.user_id,
            project_id=entry.project_id,
            roles=roles,
            is_admin=self._is_admin(roles),
            user_name=entry.user_name,
            project_name=entry.project_name,
            expires_at=entry.expires_at,
        )
