# SPDX-License-Identifier: Apache-2.0
"""Grants to open a console: a secret that works once, soon, and for one process only.

The store holds the SHA-256 of the token, so whoever reads the store cannot open a console. A grant ends with its lease; redeeming it
deletes it in the transaction that proves it was still there, so of two who present the same token one is refused.
"""

import hashlib

from zun.base.clock import Clock
from zun.base.ids import new_token
from zun.model.console_records import ConsoleGrant
from zun.model.errors import Denied, NotFound
from zun.services.live_options import LiveOptions
from zun.store import codec, keys
from zun.store.interface import Delete, Put, Store, absent, unchanged


class ConsoleGrants:
    """Makes and redeems grants."""

    def __init__(self, store: Store, clock: Clock, options: LiveOptions) -> None:
        self._store = store
        self._clock = clock
        self._options = options

    async def grant(self, *, container_uuid: str, project_id: str, node: str, exec_id: str = "") -> str:
        """A new token for the container's own process, or for a prepared command. Raises `Unavailable`, `Timeout`."""
        token = new_token()
        seconds = self._options.console_seconds
        grant = ConsoleGrant(
            container_uuid=container_uuid,
            project_id=project_id,
            node=node,
            expires_at=self._clock.now() + seconds,
            exec_id=exec_id,
        )
        key = keys.console(hash_of(token))
        lease = await self._store.grant_lease(seconds)
        await self._store.transact([absent(key)], [Put(key, codec.encode(grant), lease)])
        return token

    async def redeem(self, token: str, *, container_uuid: str, exec_id: str = "") -> ConsoleGrant:
        """The grant, used up by this call. Raises `Denied` (403) for a token that is unknown, used, too old or for another process."""
        key = keys.console(hash_of(token))
        found = await self._store.get(key)
        if found is None:
            raise _refused()
        taken = await self._store.transact([unchanged(key, found.mod_revision)], [Delete(key)])
        if not taken.succeeded:
            raise _refused()
        await self._end_lease(found.lease)
        grant = codec.decode(ConsoleGrant, found.value)
        meant = (grant.container_uuid, grant.exec_id) == (container_uuid, exec_id)
        if not meant or grant.expires_at <= self._clock.now():
            raise _refused()
        return grant

    async def _end_lease(self, lease: int) -> None:
        if not lease:
            return
        try:
            await self._store.revoke(lease)
        except NotFound:
            return  # it ended by itself at this moment


def hash_of(token: str) -> str:
    """What the store knows of a token. The token has 256 random bits, so a plain hash tells nothing of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _refused() -> Denied:
    return Denied("This console link was used, is too old, or belongs to something else; ask for a new one.")
