# SPDX-License-Identifier: Apache-2.0
"""Tells the control plane what happened here: in order, the newest of each kind, together, until it arrived.

While the control plane is away the newest observation of each container and all unfinished business wait here; that is bounded
by the number of containers. What ends within a moment (see `MOMENT_SECONDS`) is told once, not step by step.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

import msgspec

from zun.agent.journal import Journal
from zun.agent.memory import copy_observation
from zun.agent.waiting import Bell
from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable, ZunError
from zun.model.records import ActionResult, ImageObservation, Observation
from zun.store.nodelink import DropResult, Forget, NodeLink, Report, ResultReport

_log = logging.getLogger(__name__)

MOMENT_SECONDS = 0.5
"""What is only worth telling when it lasts (a step in work, a pull) waits so long for what comes after it."""

SEND_TIMEOUT_SECONDS = 30.0
_AT_ONCE = 500


class _News:
    """What is to be told of one container or image, in the order of telling."""

    def __init__(self) -> None:
        self.forget = False
        self.observation: Observation | None = None
        self.image: ImageObservation | None = None
        self.results: dict[str, ActionResult | None] = {}

    def reports(self, uuid: str) -> list[Report]:
        """As reports; None among the results means it is dropped."""
        found: list[Report] = [Forget(uuid)] if self.forget else []
        found += [report for report in (self.observation, self.image) if report is not None]
        for request_id, result in self.results.items():
            found.append(ResultReport(uuid, result) if result is not None else DropResult(uuid, request_id))
        return found

    def below(self, newer: "_News") -> None:
        """This could not be told; `newer` came meanwhile: it wins where both speak."""
        if newer.forget:
            return
        newer.forget = self.forget
        newer.observation = newer.observation or self.observation
        newer.image = newer.image or self.image
        newer.results = self.results | newer.results


class Reporter:
    """Collects news and sends them. `delivered(uuid, request_ids)` is called with the results that arrived."""

    def __init__(self, link: NodeLink, journal: Journal, clock: Clock, *, retry: Backoff | None = None) -> None:
        self._link = link
        self._journal = journal
        self._clock = clock
        self._retry = retry or Backoff(first_seconds=0.2, cap_seconds=5.0)
        self._news: dict[str, _News] = {}
        self._told: dict[str, Observation] = {}
        self._bell = Bell(clock)
        self._lazy_since: float | None = None
        self._urgent = False
        self.delivered: Callable[[str, list[str]], None] = lambda _uuid, _requests: None

    @property
    def waiting(self) -> int:
        """Of so many containers and images something is still to be told."""
        return len(self._news)

    def remember(self, observations: dict[str, Observation]) -> None:
        """What the control plane has already, told by an earlier life."""
        self._told |= observations

    def observe(self, observation: Observation, *, lazy: bool = False) -> None:
        """Tell what is seen, if it is new. `lazy`: only if it stays so for a moment."""
        uuid = observation.uuid
        news = self._news.get(uuid)
        last = news.observation if news is not None and news.observation is not None else self._told.get(uuid)
        if last is not None and _same(last, observation) and not (news is not None and news.forget):
            if not lazy and news is not None:
                self._ring(lazy=False)
            return
        self._of(uuid).observation = copy_observation(observation)
        self._ring(lazy=lazy)

    def result(self, uuid: str, result: ActionResult, *, lazy: bool = False) -> None:
        """Tell what was done for an action."""
        self._of(uuid).results[result.request_id] = msgspec.structs.replace(result)
        self._ring(lazy=lazy)

    def drop(self, uuid: str, request_id: str) -> None:
        """An old result need not be kept."""
        self._of(uuid).results[request_id] = None
        self._ring(lazy=True)

    def image(self, observation: ImageObservation, *, lazy: bool = False) -> None:
        """Tell what was done about a wished image."""
        self._of(observation.uuid).image = observation
        self._ring(lazy=lazy)

    def forget(self, uuid: str) -> None:
        """Take back all that was told of a container or image."""
        news = self._news[uuid] = _News()
        news.forget = True
        self._told.pop(uuid, None)
        self._ring(lazy=False)

    async def run(self) -> NoReturn:
        """Send until cancelled."""
        failures = 0
        while True:
            await self._wait()
            batch = self._take()
            if not batch:
                continue
            try:
                await self._send([report for uuid, news in batch.items() for report in news.reports(uuid)])
            except (Unavailable, Timeout) as error:
                _log.warning("the control plane does not take reports, trying again: %s", error)
                self._put_back(batch)
                await self._clock.sleep(self._retry.delay(failures))
                failures += 1
            except ZunError:
                await self._send_singly(batch)
            else:
                failures = 0
                self._arrived(batch)

    async def drain(self) -> None:
        """Send what is left, once; for a planned stop. What does not arrive is told by the next life."""
        batch = self._take()
        try:
            await self._send([report for uuid, news in batch.items() for report in news.reports(uuid)])
        except ZunError as error:
            _log.warning("the last reports did not arrive: %s", error)
            self._put_back(batch)
        else:
            self._arrived(batch)

    async def _wait(self) -> None:
        while not self._urgent:
            left = None
            if self._lazy_since is not None:
                left = self._lazy_since + MOMENT_SECONDS - self._clock.monotonic()
                if left <= 0:
                    return
            await self._bell.wait(left)

    def _take(self) -> dict[str, _News]:
        uuids = list(self._news)[:_AT_ONCE]
        batch = {uuid: self._news.pop(uuid) for uuid in uuids}
        # From here on this is what the control plane has, or will have: it is put back when it does not arrive.
        self._told |= {uuid: news.observation for uuid, news in batch.items() if news.observation is not None}
        self._urgent = self._urgent and bool(self._news)
        self._lazy_since = self._lazy_since if self._news else None
        return batch

    def _put_back(self, batch: dict[str, _News]) -> None:
        newer, self._news = self._news, batch
        for uuid, news in newer.items():
            if uuid in batch:
                batch[uuid].below(news)
            batch[uuid] = news
        self._ring(lazy=False)

    async def _send(self, reports: list[Report]) -> None:
        """Send, and let the journal reach the disk meanwhile."""
        if not reports:
            return
        flushing = asyncio.ensure_future(self._flush())
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self._link.report(reports)
        except TimeoutError as error:
            raise Timeout("The control plane did not take the node's reports in time; they are sent again.") from error
        finally:
            await flushing

    async def _flush(self) -> None:
        try:
            await self._journal.flush()
        except Unavailable as error:
            _log.error("%s", error)

    async def _send_singly(self, batch: dict[str, _News]) -> None:
        """The store refuses something among these: find out what, so that it does not hold up the rest."""
        for uuid, news in batch.items():
            try:
                await self._send(news.reports(uuid))
            except (Unavailable, Timeout):
                self._put_back({uuid: news})
            except ZunError as error:
                _log.error("what was to be told of %s is refused and left out: %s", uuid, error)
                self._told.pop(uuid, None)
            else:
                self._arrived({uuid: news})

    def _arrived(self, batch: dict[str, _News]) -> None:
        for uuid, news in batch.items():
            finished = [request for request, result in news.results.items() if result and result.finish_time]
            if finished:
                self.delivered(uuid, finished)

    def _of(self, uuid: str) -> _News:
        return self._news.setdefault(uuid, _News())

    def _ring(self, *, lazy: bool) -> None:
        if not lazy:
            self._urgent = True
        elif self._lazy_since is None:
            self._lazy_since = self._clock.monotonic()
        self._bell.ring()


def _same(one: Observation, other: Observation) -> bool:
    return msgspec.structs.replace(one, at=0.0) == msgspec.structs.replace(other, at=0.0)
