# SPDX-License-Identifier: Apache-2.0
"""The world around an agent under test: store, engine, clock; and what a user and the control plane do in it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from agent_crashes import Crashes
from agent_records import C1, NODE

from support.virtual_time import LoopClock, at_once
from zun.agent.agent import Agent
from zun.agent.identity import load_identity
from zun.agent.options import AgentOptions
from zun.base.sealing import NodeKey, seal
from zun.drivers.network.base import Networks
from zun.drivers.runtime.fake import FakeEngine, FakeRuntime
from zun.drivers.runtime.fake.container import FakeContainer
from zun.model.records import ActionResult, ImageObservation, ImageWish, Inbox, Intent, Observation, SeenState
from zun.store import codec, keys
from zun.store.interface import Delete, Put, Store
from zun.store.memory import MemoryStore
from zun.store.nodelink_store import StoreNodeLink

OWNER = "owner-1"


class World:
    """One node and its surroundings."""

    def __init__(self, state_dir: Path, stack: AsyncExitStack) -> None:
        self.clock = LoopClock()
        self.state_dir = state_dir
        self.stack = stack
        self.store: Store = MemoryStore(self.clock)
        self.engine = FakeEngine(self.clock)
        self.engine.add_image("busybox")
        self.runtime = FakeRuntime(self.clock, owner=OWNER, engine=self.engine)
        self.key = NodeKey.load(state_dir / "node.key")
        self.boot_id = "boot-1"
        self.options = AgentOptions()
        self.crashes: Crashes | None = None
        self.networks: Networks | None = None
        self.agent: Agent | None = None
        self.task: asyncio.Task[None] | None = None

    # the agent's life

    def make_agent(self) -> Agent:
        link = StoreNodeLink(self.store, NODE, self.clock)
        return Agent(
            runtime=self.runtime if self.crashes is None else self.crashes.around(self.runtime),
            networks=self.networks,
            link=link if self.crashes is None else self.crashes.around(link),
            key=self.key,
            identity=load_identity(self.state_dir),
            boot_id=self.boot_id,
            clock=self.clock,
            options=self.options,
            state_dir=self.state_dir,
            run_blocking=at_once if self.crashes is None else self.crashes.disk(at_once),
            boottime=self.clock.monotonic,
        )

    async def start(self, **options: object) -> Agent:
        self.options = msgspec.structs.replace(self.options, **options)
        self.agent = self.make_agent()
        self.task = asyncio.ensure_future(self.agent.run())
        await self.agent.ready()
        return self.agent

    async def stop(self) -> None:
        if self.task is not None:
            task, self.task = self.task, None
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    async def crashed(self, seconds: float) -> bool:
        """Wait for the crash; whether it came in time."""
        assert self.task is not None
        done, _ = await asyncio.wait([self.task], timeout=seconds)
        if not done:
            return False
        self.task = None
        (task,) = done
        assert task.exception() is not None
        return True

    async def restart(self, **options: object) -> Agent:
        await self.stop()
        return await self.start(**options)

    # what the control plane does

    async def wish(self, entry: Inbox) -> None:
        await self.store.transact([], [Put(keys.inbox(NODE, entry.uuid), codec.encode(entry))])

    async def ask(self, *intents: Intent, uuid: str = C1) -> None:
        """Add intents to a container's inbox entry."""
        stored = await self.store.get(keys.inbox(NODE, uuid))
        assert stored is not None
        entry = codec.decode(Inbox, stored.value)
        seen = await self.seen(uuid)
        done = seen.intent_done if seen is not None else 0
        entry.intents = [old for old in entry.intents if old.n > done] + list(intents)
        entry.seq = intents[-1].n
        await self.wish(entry)

    async def unwish(self, uuid: str = C1) -> None:
        await self.store.transact([], [Delete(keys.inbox(NODE, uuid))])

    async def wish_image(self, wish: ImageWish) -> None:
        await self.store.transact([], [Put(keys.image_inbox(NODE, wish.uuid), codec.encode(wish))])

    async def hand_blob(self, number: int, content: bytes, uuid: str = C1) -> None:
        await self.store.transact([], [Put(keys.blob(NODE, uuid, number), seal(self.key.public, content))])

    # what can be seen

    async def seen(self, uuid: str = C1) -> Observation | None:
        stored = await self.store.get(keys.observation(NODE, uuid))
        return codec.decode(Observation, stored.value) if stored is not None else None

    async def state(self, uuid: str = C1) -> SeenState | None:
        seen = await self.seen(uuid)
        return seen.state if seen is not None else None

    async def result(self, request_id: str, uuid: str = C1) -> ActionResult | None:
        stored = await self.store.get(keys.action_result(NODE, uuid, request_id))
        return codec.decode(ActionResult, stored.value) if stored is not None else None

    async def image_seen(self, uuid: str) -> ImageObservation | None:
        stored = await self.store.get(keys.image_observation(NODE, uuid))
        return codec.decode(ImageObservation, stored.value) if stored is not None else None

    def objects(self, uuid: str = C1) -> list[FakeContainer]:
        return [found for found in self.engine.containers.values() if found.request.uuid == uuid]

    def only(self, uuid: str = C1) -> FakeContainer:
        found = self.objects(uuid)
        assert len(found) == 1
        return found[0]

    def calls(self, verb: str) -> int:
        return self.engine.faults.calls[verb]

    async def until(self, *states: SeenState, uuid: str = C1, seconds: float = 120, **fields: object) -> Observation:
        """Wait until the container is seen in one of the states, with those fields."""
        deadline = self.clock.monotonic() + seconds
        while True:
            seen = await self.seen(uuid)
            if seen is not None and seen.state in states and _has(seen, fields):
                return seen
            self._check_alive()
            assert self.clock.monotonic() < deadline, f"still {seen}"
            await asyncio.sleep(0.01)

    async def done(self, request_id: str, uuid: str = C1, seconds: float = 700) -> ActionResult:
        """Wait until a request has ended."""
        deadline = self.clock.monotonic() + seconds
        while True:
            result = await self.result(request_id, uuid)
            if result is not None and result.finish_time is not None:
                return result
            self._check_alive()
            assert self.clock.monotonic() < deadline, f"{request_id} has not ended: {result}"
            await asyncio.sleep(0.01)

    async def forgotten(self, uuid: str = C1, seconds: float = 60) -> None:
        """Wait until nothing of a container is left."""
        deadline = self.clock.monotonic() + seconds
        while (await self.store.range(f"{keys.node_prefix(NODE)}s/{uuid}")).items or self.objects(uuid):
            self._check_alive()
            assert self.clock.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def settle(self, seconds: float = 5.0) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)
        self._check_alive()

    def _check_alive(self) -> None:
        if self.task is not None and self.task.done():
            self.task.result()


def _has(seen: Observation, fields: dict[str, object]) -> bool:
    return all(getattr(seen, name) == value for name, value in fields.items())
