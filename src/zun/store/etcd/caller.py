# SPDX-License-Identifier: Apache-2.0
"""Calls to etcd as a whole: to whichever member answers, in bounded time, and never a write twice.

- What nobody did (no connection, no leader, refused) is tried elsewhere, for as long as an election takes.
- A read whose answer does not come is asked elsewhere, first soon, then more patiently.
- A write whose answer does not come is `Timeout`: it is in doubt, and the caller alone knows what repeating it would mean. So is
  one of those that etcd was full at (`space`).
"""

import asyncio
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.store.etcd.connection import Connection, was_retired
from zun.store.etcd.failures import OUT_OF_SPACE, Failure, Next, failure_of, in_doubt, nobody_there
from zun.store.etcd.members import Members, NoMember
from zun.store.etcd.space import Space

CALL_SECONDS = 10.0
"""No call takes longer. etcd itself gives up a write after 7 s (5 s, and twice its election timeout)."""

PATIENCE_SECONDS = 5.0
"""So long is a call tried that nobody begins: an election, or a member's restart, passes unnoticed."""

SUSPECT_SECONDS = 1.5
"""A member that owes an answer for so long is looked at; a read is asked elsewhere then."""

_PAUSES = Backoff(first_seconds=0.05, cap_seconds=0.5)


class Caller:
    """Makes unary calls. `name` is an attribute of `Calls`."""

    def __init__(self, members: Members, clock: Clock) -> None:
        self._members = members
        self._clock = clock
        self._space = Space(clock)
        self._away = False

    async def call(self, name: str, request: Message, *, writing: bool = False, adding: bool = False) -> Any:
        """One call's answer. `adding`: a write that etcd does not take without space. Raises our errors, or `CompactedAway`."""
        started = self._clock.monotonic()
        tries = 0
        while True:
            left = CALL_SECONDS - (self._clock.monotonic() - started)
            try:
                connection = await self._members.connected()
            except NoMember:
                failure, cause = nobody_there(), None
                tries += len(self._members)  # all were tried
            else:
                seconds = left if writing else self._read_seconds(tries, left)
                sent = self._clock.monotonic()
                try:
                    answer = await self._ask(connection, name, request, seconds)
                except grpc.aio.AioRpcError as error:
                    failure, cause = failure_of(error, writing=writing), error
                    if failure is OUT_OF_SPACE and adding:
                        failure = self._space.refused(sent)
                except ConnectionAbortedError as error:
                    failure, cause = in_doubt(writing=writing), error
                else:
                    self._away = False
                    if adding:
                        self._space.taken(sent)
                    return answer
                if failure.next in (Next.ELSEWHERE, Next.IN_DOUBT):
                    self._members.prefer_another(connection)
                tries += 1
            waited = self._clock.monotonic() - started
            if not self._goes_on(failure, tries, waited, writing=writing):
                raise failure.error() from cause
            if tries % len(self._members) == 0:
                await self._clock.sleep(_PAUSES.delay(tries // len(self._members) - 1))

    def _read_seconds(self, tries: int, left: float) -> float:
        """Impatient while there are members that were not asked yet, so that one which hangs does not cost the whole time."""
        if len(self._members) == 1:
            return left
        round_number = tries // len(self._members)
        return min(left, SUSPECT_SECONDS * (1 << round_number))

    def _goes_on(self, failure: Failure, tries: int, waited: float, *, writing: bool) -> bool:
        match failure.next:
            case Next.GIVE_UP:
                return False
            case Next.AGAIN:
                return waited < PATIENCE_SECONDS
            case Next.IN_DOUBT:
                return not writing and waited < CALL_SECONDS
            case Next.ELSEWHERE:
                # While etcd is known to be away, one round is enough to find out whether it is back.
                goes_on = waited < PATIENCE_SECONDS and not (self._away and tries >= len(self._members))
                self._away = self._away or not goes_on
                return goes_on

    async def _ask(self, connection: Connection, name: str, request: Message, seconds: float) -> Any:
        """The answer of one member. Raises `AioRpcError`, `ConnectionAbortedError`."""
        alarm = asyncio.get_running_loop().call_later(SUSPECT_SECONDS, self._members.suspect, connection)
        try:
            return await connection.ask(getattr(connection.calls, name), request, seconds)
        except asyncio.CancelledError:
            if was_retired(connection):
                raise ConnectionAbortedError(f"the connection to {connection.address} was given up") from None
            raise
        finally:
            alarm.cancel()
