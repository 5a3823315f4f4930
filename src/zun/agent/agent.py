# SPDX-License-Identifier: Apache-2.0
"""The agent: all organs of one node put together, and their common life.

A planned stop, and any crash, leaves the containers running; the next life finds them (see `recovery`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NoReturn

from zun.agent.blocking import RunBlocking, in_thread
from zun.agent.describing import Describing
from zun.agent.engine import Engine
from zun.agent.fencing import Fencing
from zun.agent.files import Files
from zun.agent.fingerprinting import NOWHERE, About, Endpoint
from zun.agent.found import Found, owner_of
from zun.agent.guards import Guards
from zun.agent.identity import NodeIdentity
from zun.agent.image_wishes import ImageWishes
from zun.agent.images import Images
from zun.agent.journal import Journal, open_journal
from zun.agent.known_store import KnownStore
from zun.agent.live import AgentLive
from zun.agent.memory import Memory
from zun.agent.observing import Around
from zun.agent.options import AgentOptions
from zun.agent.plugs import Plugs
from zun.agent.probing.asking import asker
from zun.agent.probing.probing import Probing
from zun.agent.publishing import Publishing
from zun.agent.recovery import adopt_all, clean_files, patiently
from zun.agent.reporter import Reporter
from zun.agent.sessions import ExecSessions
from zun.agent.supervisor import Supervisor
from zun.agent.tools import Tools
from zun.agent.touch import Touch, boot_time
from zun.agent.waiting import first_of
from zun.agent.watching import Watching
from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.sealing import NodeKey
from zun.drivers.network.base import Networks
from zun.drivers.runtime.base import Runtime
from zun.model.errors import Timeout, Unavailable
from zun.model.records import SeenState
from zun.store.nodelink import InboxBatch, NodeLink, Remembered
from zun.telemetry.meter import NO_METER, Meter, Sample
from zun.telemetry.metrics import HEARTBEAT_AGE, NODE_CONTAINERS, REPORTS_WAITING
from zun.telemetry.tracing import NO_TRACER, Tracer

_log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 1.0
"""A heartbeat is given up after the interval between two, but not sooner than this."""

LAST_WORDS_SECONDS = 5.0
"""A planned stop spends at most so long on telling what it still knows."""


class Agent:
    """One node. Made from what wiring chose; `run` is its life; `live` serves the API's streams.

    `networks` plugs its containers in; None: the engine does, into networks of its own. Ports are published at `publish_address` ("": nowhere).
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        networks: Networks | None = None,
        publish_address: str = "127.0.0.1",
        link: NodeLink,
        key: NodeKey,
        identity: NodeIdentity,
        boot_id: str,
        clock: Clock,
        options: AgentOptions,
        state_dir: Path,
        run_blocking: RunBlocking = in_thread,
        endpoint: Endpoint = NOWHERE,
        meter: Meter = NO_METER,
        tracer: Tracer = NO_TRACER,
        boottime: Callable[[], float] = boot_time,
    ) -> None:
        self._link = link
        self._clock = clock
        self._options = options
        about = About(link.node, identity.uuid, boot_id, clock.now(), endpoint)
        self._probing = Probing(asker(runtime.streams, options), clock)
        self._engine = Engine(runtime, clock, options, verdict=self._probing.verdict_of)
        self._images = Images(runtime, options)
        self._journal, self._memories = _open(state_dir, run_blocking)
        self._files = Files(state_dir, key, link, clock, run_blocking=run_blocking)
        self._reporter = Reporter(link, self._journal, clock)
        self._guards = Guards(state_dir, boot_id, run_blocking=run_blocking)
        self._touch = Touch(boottime, self._guards.former())
        self._known_store = KnownStore(state_dir, link, run_blocking=run_blocking)
        tools = Tools(
            engine=self._engine,
            images=self._images,
            files=self._files,
            journal=self._journal,
            reporter=self._reporter,
            around=Around.of(options, boot_id),
            clock=clock,
            options=options,
            meter=meter,
            tracer=tracer,
            touch=self._touch,
            guards=self._guards,
            plugs=Plugs(networks, publish_address),
            probing=self._probing,
            known_store=self._known_store,
        )
        self._supervisor = Supervisor(tools, self._in_use)
        self._image_wishes = ImageWishes(self._images, self._reporter, clock)
        self._fencing = Fencing(self._supervisor, self._touch, clock)
        self._watching = Watching(runtime, self._supervisor, tools)
        sessions = ExecSessions(clock, limit=options.exec_sessions, idle_seconds=options.exec_idle_seconds)
        describing, patience = Describing(about, runtime, clock), options.engine_timeout_seconds
        self.live = AgentLive(runtime, self._supervisor.handle, sessions, describing, timeout_seconds=patience)
        self._publishing = Publishing(about, link, tools, state_dir)
        self._ready = asyncio.Event()
        self._heard_at = clock.monotonic()
        meter.watch(self._figures)

    async def ready(self) -> None:
        """Return once the node has read everything and works on its inbox."""
        await self._ready.wait()

    async def run(self) -> NoReturn:
        """Live until cancelled; containers run on afterwards."""
        try:
            async with asyncio.TaskGroup() as group:
                # Homes first: what recovery hands out is worked on there.
                group.create_task(self._images.run(), name="images")
                group.create_task(self._image_wishes.run(), name="image wishes")
                group.create_task(self._probing.run(), name="checks")
                group.create_task(self._supervisor.run(), name="supervisor")
                group.create_task(self._fencing.run(), name="fencing")
                group.create_task(self._heartbeats(), name="heartbeats")
                group.create_task(self._known_store.run(), name="known store")
                group.create_task(self._live_on(group), name="inbox")
        finally:
            await self._last_words()
        raise AssertionError("only cancellation ends it")

    def _in_use(self, uuid: str) -> bool:
        return self.live.in_use(uuid)

    async def _live_on(self, group: asyncio.TaskGroup) -> None:
        """Read what is, then follow what changes."""
        await patiently("asking which store this is", self._clock, self._known_store.meet)
        remembered = await patiently("reading what was told before", self._clock, self._link.remembered)
        await self._publishing.begin(remembered.info.reports if remembered.info is not None else 0)
        group.create_task(self._publishing.run(), name="publishing")
        lease = await self._touch.newer_lease(0)
        failures = 0
        while True:
            try:
                await self._known_store.confirm()
                async with self._link.inbox() as batches:
                    failures = 0
                    lease = await self._follow(batches, lease, remembered, group)
                continue
            except (Unavailable, Timeout) as error:
                _log.warning("following the inbox: %s", error)
            await self._clock.sleep(_RETRY.delay(failures))
            failures += 1

    async def _follow(
        self, batches: AsyncIterator[InboxBatch], lease: int, remembered: Remembered, group: asyncio.TaskGroup
    ) -> int:
        """Take the inbox in, first whole and then its changes, until another lease had to be taken; returns that one."""
        relet = asyncio.ensure_future(self._touch.newer_lease(lease))
        try:
            while (batch := await first_of(anext(batches), relet)) is not None:
                if not self._ready.is_set():
                    await self._recover(batch, remembered, group)
                else:
                    self._supervisor.apply(batch)
                    self._image_wishes.apply(batch)
                if batch.snapshot and batch.revision >= lease:
                    group.create_task(self._open_gate(lease), name="gate")
            return relet.result()
        finally:
            relet.cancel()

    async def _open_gate(self, lease: int) -> None:
        """Everything that was in the inbox when the lease was taken is known; what is to be gone goes before anything is started."""
        await self._supervisor.cleared()
        self._touch.open(lease)

    async def _recover(self, first: InboxBatch, remembered: Remembered, group: asyncio.TaskGroup) -> None:
        sandboxes = await patiently("listing sandboxes", self._clock, self._engine.list_sandboxes)
        engine = Found(await patiently("listing containers", self._clock, self._engine.list), sandboxes)
        await patiently(
            "setting aside what the store forgot", self._clock, lambda: self._keep(engine, first, remembered)
        )
        self._reporter.remember(remembered.observations)
        memories, self._memories = self._memories, {}
        adopt_all(self._supervisor, first, remembered, memories, engine)
        self._image_wishes.recover(first, remembered.images)
        group.create_task(self._reporter.run(), name="reporter")
        group.create_task(self._watching.run(), name="watching")
        self._ready.set()
        await clean_files(self._files, self._supervisor.known() | self._known_store.kept)
        await self._guards.clean(self._supervisor.known())
        await self._supervisor.release_strays()

    async def _keep(self, engine: Found, first: InboxBatch, remembered: Remembered) -> None:
        heard_at = remembered.info.at if remembered.info is not None else None
        newer_than = None if heard_at is None else heard_at + 2 * self._options.publish_seconds + _TELLING_SECONDS
        objects = [one for one in engine.everything if owner_of(one) not in first.damaged]
        await self._known_store.keep(objects, first.containers, newer_than=newer_than, now=self._clock.now())

    async def _heartbeats(self) -> NoReturn:
        failures = 0
        while True:
            try:
                await self._heartbeat()
                failures = 0
                await self._clock.sleep(self._options.heartbeat_seconds)
            except (Unavailable, Timeout, TimeoutError) as error:
                _log.warning("the heartbeat did not arrive: %s", error)
                await self._clock.sleep(_RETRY.delay(failures))
                failures += 1

    async def _heartbeat(self) -> None:
        """The node is in touch as of before the question was asked."""
        asked_at = self._touch.now()
        async with asyncio.timeout(max(_HEARTBEAT_SECONDS, self._options.heartbeat_seconds)):
            lease = await self._link.heartbeat()
        self._heard_at = self._clock.monotonic()
        if lease and self._touch.lease:
            _log.warning("the node may have been taken for lost; nothing is started before its inbox was read anew")
            self._fencing.look()
            self._supervisor.doubt_all()
        self._touch.renewed(asked_at, lease)
        await self._guards.renewed(asked_at)

    def _figures(self) -> Iterator[Sample]:
        yield HEARTBEAT_AGE, self._clock.monotonic() - self._heard_at, ()
        yield REPORTS_WAITING, self._reporter.waiting, ()
        states = self._supervisor.states()
        for state in SeenState:
            yield NODE_CONTAINERS, states[state], (state.value,)

    async def _last_words(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._reporter.drain()
                await self._journal.flush()
                await self._say_goodbye()
        except (Unavailable, TimeoutError) as error:
            _log.warning("the agent's last words were lost; its next life says them again: %s", error)

    async def _say_goodbye(self) -> None:
        """Somebody stopped the agent, most likely to start it again: until then the node counts as alive, and its containers go on."""
        grace = self._options.restart_grace_seconds
        if not grace:
            await self._link.close()
            return
        asked_at = self._touch.now()
        await self._link.announce_restart(grace)
        self._touch.announced(asked_at, grace)
        await self._guards.renewed(asked_at + grace)


_RETRY = Backoff(first_seconds=0.2, cap_seconds=3.0)
_TELLING_SECONDS = 60.0
"""What was told of the node may be late by so much, beside the interval of telling."""


def _open(state_dir: Path, run_blocking: RunBlocking) -> tuple[Journal, dict[str, Memory]]:
    return open_journal(state_dir / "journal", run_blocking)
