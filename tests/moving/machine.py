# SPDX-License-Identifier: Apache-2.0
"""One machine of a made-up cloud: an engine, an agent, a watchdog, and everything that can happen to them."""

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec

from moving.obstacles import Cable, Frost
from support.virtual_time import LoopClock, at_once
from zun.agent import watchdog
from zun.agent.agent import Agent
from zun.agent.identity import load_identity
from zun.agent.options import AgentOptions
from zun.base.sealing import NodeKey
from zun.drivers.runtime.fake import FakeEngine, FakeRuntime
from zun.drivers.runtime.fake.container import FakeContainer
from zun.model.records import SeenState
from zun.store.interface import Store
from zun.store.nodelink_store import StoreNodeLink


class Machine:
    """Its disk and its engine outlive agents; its containers live as long as it has power."""

    def __init__(self, name: str, state_dir: Path, store: Store, clock: LoopClock, seed: int) -> None:
        self.name = name
        self.clock = clock
        self.state_dir = state_dir
        state_dir.mkdir(mode=0o700)
        self.cable = Cable(store, clock)
        self.engine = FakeEngine(clock, seed=seed)
        self.key = NodeKey.load(state_dir / "node.key")
        self.identity = load_identity(state_dir)
        self.options = AgentOptions()
        self.frost = Frost()
        self.boots = 0
        self.booted_at = 0.0
        self.asleep = False
        self.woke_at = -1000.0
        """When it last woke, or its agent thawed: only then something may run for a moment that should not."""
        self._agent: asyncio.Task[None] | None = None
        self._watchdog: asyncio.Task[None] | None = None

    @property
    def powered(self) -> bool:
        return self._watchdog is not None

    @property
    def works(self) -> bool:
        return self._agent is not None

    def boottime(self) -> float:
        return self.clock.monotonic() - self.booted_at

    def power_on(self) -> None:
        """Start the machine, and the agent with it."""
        self.boots += 1
        self.booted_at = self.clock.monotonic()
        self._watchdog = asyncio.ensure_future(self._watch())
        self.start_agent()

    def start_agent(self) -> None:
        self.frost = Frost()
        self.woke_at = self.clock.monotonic()
        self._agent = asyncio.ensure_future(self._make_agent().run())

    async def power_off(self) -> None:
        """Pull the plug."""
        await self.kill_agent()
        if self._watchdog is not None:
            self._watchdog.cancel()
            await asyncio.gather(self._watchdog, return_exceptions=True)
            self._watchdog = None
        self.asleep = False
        for container in self.engine.containers.values():
            if container.process is not None:
                container.process.end(137)
        self.engine.listeners.clear()

    async def kill_agent(self) -> None:
        """Without a last word."""
        if self._agent is not None:
            cut, self.cable.is_cut = self.cable.is_cut, True
            self.frost.thaw()
            await self._end()
            self.cable.is_cut = cut

    async def stop_agent(self) -> None:
        """As an operator does for an upgrade."""
        if self._agent is not None:
            self.frost.thaw()
            await self._end()

    def freeze_agent(self) -> None:
        if self._agent is not None:
            self.frost.freeze()

    def thaw_agent(self) -> None:
        if self.frost.is_frozen:
            self.woke_at = self.clock.monotonic()
            self.frost.thaw()

    def sleep(self) -> None:
        """The whole machine stands still, as a virtual machine that is suspended."""
        if self.powered:
            self.asleep = True
            self.frost.freeze()

    def wake(self) -> None:
        if self.asleep:
            self.asleep = False
            self.thaw_agent()

    def running(self) -> list[FakeContainer]:
        """The containers that live now."""
        if self.asleep:
            return []
        return [found for found in self.engine.containers.values() if found.lives]

    def failed(self) -> BaseException | None:
        """Why the agent ended by itself."""
        if self._agent is None or not self._agent.done():
            return None
        return self._agent.exception()

    async def _end(self) -> None:
        assert self._agent is not None
        agent, self._agent = self._agent, None
        agent.cancel()
        with suppress(asyncio.CancelledError):
            await agent

    def _make_agent(self) -> Agent:
        clock = self.frost.clock(self.clock)
        runtime = FakeRuntime(clock, owner=self.identity.owner, engine=self.engine)
        boot = f"boot-{self.boots}"
        return Agent(
            runtime=self.frost.around(runtime),
            link=self.frost.around(StoreNodeLink(self.cable, self.name, clock, boot_id=boot)),  # type: ignore[arg-type]
            key=self.key,
            identity=self.identity,
            boot_id=boot,
            clock=clock,
            options=msgspec.structs.replace(self.options, restart_grace_seconds=30),
            state_dir=self.state_dir,
            run_blocking=self.frost.disk(at_once),
            boottime=self.boottime,
        )

    async def _watch(self) -> None:
        """The watchdog's own judgement over its own files; only the engine's processes are made up."""
        directory, boot = str(self.state_dir / watchdog.DIRECTORY), f"boot-{self.boots}"
        while True:
            await self.clock.sleep(watchdog.PERIOD_SECONDS)
            renewed = watchdog.read_renewed(directory, boot)
            if self.asleep or renewed is None:
                continue
            for one in watchdog.overdue(watchdog.read_guarded(directory, boot), renewed, self.boottime()):
                found = self.engine.containers.get(one.handle)
                if found is not None and found.lives and found.process is not None:
                    (self.state_dir / watchdog.DIRECTORY / watchdog.KILLED).mkdir(exist_ok=True)
                    watchdog.note(directory, one)
                    found.process.end(137)
                    if found.state is SeenState.PAUSED:
                        raise AssertionError("an ended container is not paused")
