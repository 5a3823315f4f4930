# SPDX-License-Identifier: Apache-2.0
"""What processes of the control plane say of themselves, for as long as they run: so operators know, and nobody restores a backup under them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Internal, NotFound, Timeout, Unavailable
from zun.model.process import ProcessRecord
from zun.store import codec, keys
from zun.store.interface import Put, Store

_LOG = logging.getLogger(__name__)

TTL_SECONDS = 30
"""So long after its end a process that was killed is still listed."""

_TELL_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
_RETRY = Backoff(first_seconds=1.0, cap_seconds=_TELL_SECONDS)

Describe = Callable[[], Awaitable[ProcessRecord]]
"""What a process says of itself now."""


class Announcement:
    """Keeps this process's record in the store. `run` must be running; the record goes with its end."""

    def __init__(self, store: Store, clock: Clock, describe: Describe) -> None:
        self._store = store
        self._clock = clock
        self._describe = describe
        self._lease = 0
        self._told: bytes = b""

    async def run(self) -> NoReturn:
        """Tell it until cancelled, through absences of the store."""
        failures = 0
        try:
            while True:
                try:
                    await self._tell()
                    failures, pause = 0, _TELL_SECONDS
                except (Unavailable, Timeout) as error:
                    _LOG.debug("this process cannot say that it runs: %s", error)
                    pause, failures = _RETRY.delay(failures), failures + 1
                await self._clock.sleep(pause)
        finally:
            if self._lease:
                with suppress(NotFound, Unavailable, Timeout, TimeoutError):
                    async with asyncio.timeout(_LEAVE_SECONDS):
                        await self._store.revoke(self._lease)

    async def _tell(self) -> None:
        """Renew the lease, and write the record when something of it changed or the lease had ended."""
        record = await self._describe()
        if self._lease:
            try:
                await self._store.keep_alive(self._lease)
            except NotFound:
                self._lease = 0
        if not self._lease:
            self._lease, self._told = await self._store.grant_lease(TTL_SECONDS), b""
        told = codec.encode(record)
        if told != self._told:
            try:
                await self._store.transact([], [Put(keys.process(record.role, record.identity), told, self._lease)])
            except NotFound:
                self._lease = 0
                return
            self._told = told


async def processes(store: Store) -> list[ProcessRecord]:
    """Those that run, by role and identity. What cannot be read is left out: a newer version may say it otherwise. Raises `Unavailable`, `Timeout`."""
    found = []
    for item in (await store.range(keys.PROCESSES)).items:
        with suppress(Internal):
            found.append(codec.decode(ProcessRecord, item.value))
    return found
