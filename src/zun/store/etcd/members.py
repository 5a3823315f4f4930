# SPDX-License-Identifier: Apache-2.0
"""The members of an etcd cluster, and which of them this process speaks to.

One member at a time carries everything; when it fails, the next one does. gRPC could hold several addresses in one channel, but it
stays with a member that is connected and hangs, checks all names against one, and does not say who failed.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine, Sequence
from typing import Any

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Internal, Invalid, Unavailable, ZunError
from zun.store.etcd.address import Address
from zun.store.etcd.connection import Connection, Refused
from zun.store.etcd.tls import Credentials, TlsFiles

_LOG = logging.getLogger(__name__)
_START_RETRY = Backoff(first_seconds=0.1, cap_seconds=1.0)
_NEXT_AFTER_SECONDS = 0.5
"""A member that did not connect by then has company: the next one is tried too."""

REPLACE_SECONDS = 10.0
"""So long may calls go on that began before certificates changed."""

_QUIET_SECONDS = 5.0
"""A connection with streams that said nothing for so long is asked whether it lives."""


class NoMember(Exception):
    """No member can be used just now."""


class Members:
    """The way to a member that works. Belongs to one event loop."""

    def __init__(
        self, addresses: Sequence[Address], tls: TlsFiles | None, clock: Clock, *, rng: random.Random | None = None
    ) -> None:
        """`rng` chooses who is tried first, so that many clients spread over the members."""
        self._order = list(addresses)
        (rng or random.Random()).shuffle(self._order)  # noqa: S311 - spreads load, guards nothing
        self._tls = tls
        self._clock = clock
        self._credentials: Credentials | None = None
        self.newest_revision = 0
        """The newest revision that anybody here heard of."""
        self._cluster_id = 0
        self._current: Connection | None = None
        self._connections: dict[Address, Connection] = {}
        self._troubles: dict[Address, str] = {}
        self._connecting: asyncio.Task[Connection] | None = None
        self._looking: dict[Connection, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: ZunError | None = None

    def __len__(self) -> int:
        return len(self._order)

    @property
    def user(self) -> str:
        """The name in the client certificate, "" without one."""
        return self._credentials.user if self._credentials is not None else ""

    async def start(self, wait_seconds: float) -> None:
        """Find the members, and make sure that they are one cluster. Waits `wait_seconds` for one that works.

        Raises `Invalid` (what is configured cannot work, also with what the members say), `Unsupported` (too old) or `Unavailable`
        (trying again may help), naming each member and what it said.
        """
        if self._tls is not None:
            self._credentials = self._tls.load()
        deadline = self._clock.monotonic() + wait_seconds
        for pause in _START_RETRY.delays():
            found = await asyncio.gather(*(self._try(address) for address in self._order))
            good = [each for each in found if isinstance(each, Connection)]
            refused = [each for each in found if isinstance(each, Refused)]
            if good:
                await self._begin(good, refused)
                return
            if all(each.lasting for each in refused) or self._clock.monotonic() + pause > deadline:
                raise _no_start(refused)
            await self._clock.sleep(pause)

    async def connected(self) -> Connection:
        """A connection to the member that is spoken to, made anew where needed. Raises `NoMember`, or what `end` was given."""
        while True:
            self._check_not_ended()
            if self._tls is not None and self._tls.changed():
                self._take_in_certificates(self._tls)
            current = self._current
            if current is not None and current.is_usable():
                return current
            if self._connecting is None or self._connecting.done():  # its end may not have been told yet
                self._connecting = asyncio.create_task(self._connect(), name="etcd-connect")
                self._connecting.add_done_callback(self._connect_ended)
            connection = await asyncio.shield(self._connecting)
            if not connection.retired:  # others may have given it up before this task went on
                self._check_not_ended()
                return connection

    def prefer_another(self, connection: Connection) -> None:
        """New calls go to another member, if there is one; what runs on this one may go on."""
        if self._current is connection:
            self._current = None
        if self._order[0] == connection.address:
            self._order.append(self._order.pop(0))

    def suspect(self, connection: Connection) -> None:
        """It owes an answer: have it looked at, and given up if it is not well."""
        if not connection.retired and connection not in self._looking:
            task = asyncio.create_task(self._look(connection), name="etcd-look")
            self._looking[connection] = task
            task.add_done_callback(lambda _: self._looking.pop(connection, None))

    async def statuses(self) -> list[tuple[Address, Any]]:
        """Ask every member how it is: `StatusResponse`, or why it cannot be used (`Refused`). Takes some seconds at most."""
        self._check_not_ended()
        addresses = sorted(self._order, key=str)
        return list(zip(addresses, await asyncio.gather(*map(self._status, addresses)), strict=True))

    async def _status(self, address: Address) -> Any:
        held = self._connections.get(address)
        if held is not None and held.is_usable():
            try:
                return await held.status()
            except Refused as refused:
                return refused
        made = await self._try(address)
        if isinstance(made, Refused):
            return made
        try:
            return await made.status()
        except Refused as refused:
            return refused
        finally:
            await made.close()

    def heard_of(self, revision: int) -> None:
        """A revision exists."""
        self.newest_revision = max(self.newest_revision, revision)

    def end(self, error: ZunError) -> None:
        """Everything ends, now and for good; whoever calls from now on gets `error`."""
        if self._ended is None:
            self._ended = error
            for connection in list(self._connections.values()):
                self._give_up(connection)

    async def close(self, error: ZunError) -> None:
        """`end`, and wait until nothing is left."""
        self.end(error)
        tasks = [*self._tasks, *self._looking.values(), *([self._connecting] if self._connecting else [])]
        for task in tasks:
            if task.get_name() != "etcd-close":
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check_not_ended(self) -> None:
        if self._ended is not None:
            raise type(self._ended)(self._ended.message)

    async def _begin(self, good: list[Connection], refused: list[Refused]) -> None:
        clusters = {connection.cluster_id for connection in good}
        if len(clusters) > 1:
            for connection in good:
                await connection.close()
            each = ", ".join(f"{connection.address} to {connection.cluster_id:x}" for connection in good)
            raise Invalid(f"[store] endpoints belong to different etcd clusters ({each}); name the members of one.")
        self._cluster_id = good[0].cluster_id
        self._use(good[0])
        for connection in good[1:]:
            await connection.close()
        for each_refused in refused:
            self._note(each_refused)
        self._spawn(self._watch_over(), "etcd-watch-over")

    async def _try(self, address: Address) -> Connection | Refused:
        try:
            connection = await Connection.connect(address, self._credentials, self._clock)
        except Refused as refused:
            return refused
        if self._cluster_id and connection.cluster_id != self._cluster_id:
            await connection.close()
            reason = f"belongs to another etcd cluster ({connection.cluster_id:x}, not {self._cluster_id:x}); check [store] endpoints."
            return _Foreign(address, reason, lasting=True)
        return connection

    async def _connect(self) -> Connection:
        """Try the members in order, each a little after the one before; the first that works is spoken to from now on."""
        if self._tls is not None:
            self._load(self._tls)
        waiting = list(self._order)
        trying: dict[asyncio.Task[Connection | Refused], None] = {}
        refused: list[Refused] = []
        try:
            while waiting or trying:
                if waiting:
                    address = waiting.pop(0)
                    held = self._connections.get(address)
                    if held is not None and held.is_usable():
                        return self._use(held)
                    trying[asyncio.create_task(self._try(address), name="etcd-try")] = None
                patience = _NEXT_AFTER_SECONDS if waiting else None
                done, _ = await asyncio.wait(trying, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del trying[task]
                    found = task.result()
                    if isinstance(found, Connection):
                        return self._use(found)
                    self._note(found)
                    refused.append(found)
        finally:
            for task in trying:
                self._spawn(_drop(task), "etcd-close")
        if all(isinstance(each, _Foreign) for each in refused):
            self.end(_other_cluster())
            raise _other_cluster()
        raise NoMember

    def _connect_ended(self, task: asyncio.Task[Connection]) -> None:
        if self._connecting is task:
            self._connecting = None
        if not task.cancelled():
            task.exception()  # nobody may be left to look at it

    def _use(self, connection: Connection) -> Connection:
        address = connection.address
        before = self._connections.get(address)
        if before is not None and before is not connection:
            self._give_up(before)
        if self._ended is not None:
            self._give_up(connection)
            self._check_not_ended()
        self._connections[address] = connection
        self._current = connection
        self._order.remove(address)
        self._order.insert(0, address)
        if self._troubles.pop(address, None) is not None:
            _LOG.info("etcd's member %s is well again", address)
        return connection

    def _note(self, refused: Refused) -> None:
        """Say once what is wrong with a member, and again when something else is."""
        if self._troubles.get(refused.address) != refused.reason:
            self._troubles[refused.address] = refused.reason
            _LOG.warning("etcd's member %s", refused)

    async def _look(self, connection: Connection) -> None:
        try:
            await connection.look()
        except Refused as refused:
            if not connection.retired:
                self._note(refused)
                self._give_up(connection)

    async def _watch_over(self) -> None:
        """A stream may wait for long, and a member that hangs says nothing: ask the quiet ones."""
        while True:
            await self._clock.sleep(_QUIET_SECONDS / 2)
            for connection in list(self._connections.values()):
                if not connection.retired and not connection.is_usable():
                    self._give_up(connection)
                elif connection.streams and self._clock.monotonic() - connection.heard_at > _QUIET_SECONDS:
                    self.suspect(connection)

    def _give_up(self, connection: Connection) -> None:
        self.prefer_another(connection)
        if self._connections.get(connection.address) is connection:
            del self._connections[connection.address]
        connection.retire()
        self._spawn(connection.close(), "etcd-close")

    def _take_in_certificates(self, tls: TlsFiles) -> None:
        """The files changed: give up the connections that were made with what they held before."""
        before = self._credentials
        self._load(tls)
        if self._credentials != before:
            _LOG.info("New certificates for etcd are taken in")
            for connection in self._connections.values():
                self._spawn(connection.replace(REPLACE_SECONDS), "etcd-close")
            self._connections.clear()
            self._current = None

    def _load(self, tls: TlsFiles) -> None:
        """What the files hold now; when that is wrong it is logged, and what they held before is used on."""
        try:
            self._credentials = tls.load()
        except Invalid as error:
            _LOG.error("The certificate files for etcd: %s", error.message)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Foreign(Refused):
    """The member belongs to another cluster than the one this process works with."""


async def _drop(task: "asyncio.Task[Connection | Refused]") -> None:
    """A connection that is not needed any more, made or not."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and isinstance(found := task.result(), Connection):
        await found.close()


def _no_start(refused: list[Refused]) -> ZunError:
    """What no waiting heals ends the start: `Invalid`, or what all of them say it is."""
    kinds = {each.kind for each in refused}
    kind: type[ZunError] = Unavailable
    if all(each.lasting for each in refused):
        kind = kinds.pop() if len(kinds) == 1 else Invalid
    said = " ".join(f"{each}" for each in refused)
    return kind(f"No member of etcd can be used. {said}")


def _other_cluster() -> ZunError:
    return Internal(
        "etcd is another cluster than the one this process began with (was it restored or made anew?); "
        "restart this process, so that it reads everything again."
    )
