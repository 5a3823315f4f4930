# SPDX-License-Identifier: Apache-2.0
"""Capsules for the agent's tests: their inbox entries, and how they look from outside."""

from agent_records import C1, IMAGE, PROJECT, intent, uuid_of
from agent_world import World

from zun.drivers.runtime.fake.container import FakeContainer
from zun.model.capsule_status import capsule_status
from zun.model.children import Child, ImageSource, RecordKind
from zun.model.container import ContainerSpec, RestartPolicy
from zun.model.records import Claim, Inbox, Intent, Observation, Verb
from zun.model.states import Status

WAITS = ["sleep", "1000000"]
INIT, APP, APP2 = uuid_of(11), uuid_of(21), uuid_of(22)


def child(uuid: str, command: list[str], policy: str, *, init: bool = False, image: str = IMAGE) -> Child:
    spec = ContainerSpec(
        image=image, name=f"c-{uuid[-2:]}", command=command, cpu=0.0, memory=0, restart_policy=RestartPolicy(policy)
    )
    return Child(uuid, spec, ImageSource(image), init=init)


def capsule(
    *apps: list[str],
    init: list[str] | None = None,
    policy: str = "always",
    intents: tuple[Intent, ...] = (),
    **fields: object,
) -> Inbox:
    """A capsule with one container per command."""
    told = [child(uuid_of(21 + number), command, policy) for number, command in enumerate(apps)]
    if init is not None:
        told.insert(0, child(INIT, init, "no" if policy == "no" else "on-failure", init=True))
    entry = Inbox(
        uuid=C1,
        generation=1,
        project_id=PROJECT,
        spec=ContainerSpec(image="", name="shop", restart_policy=RestartPolicy(policy)),
        claim=Claim(),
        seq=1,
        intents=[intent(1, Verb.CREATE), *intents],
        kind=RecordKind.CAPSULE,
        children=told,
    )
    for name, value in fields.items():
        setattr(entry, name, value)
    return entry


class Capsules:
    """Looks at a capsule in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entry: Inbox | None = None

    async def wish(self, entry: Inbox) -> None:
        self.entry = entry
        await self.world.wish(entry)

    async def status(self) -> tuple[Status | None, str | None]:
        seen = await self.world.seen()
        assert self.entry is not None
        return capsule_status(self.entry.children, seen) if seen is not None else (None, None)

    async def becomes(self, wanted: Status, seconds: float = 300) -> Observation:
        deadline = self.world.clock.monotonic() + seconds
        while (await self.status())[0] is not wanted:
            await self.world.settle(0.05)
            assert self.world.clock.monotonic() < deadline, f"{await self.status()}: {await self.world.seen()}"
        seen = await self.world.seen()
        assert seen is not None
        return seen

    async def one(self, uuid: str = APP) -> Observation:
        seen = await self.world.seen()
        assert seen is not None
        return next(found for found in seen.children if found.uuid == uuid)

    def objects(self) -> list[FakeContainer]:
        return [found for found in self.world.engine.containers.values() if found.request.capsule == C1]

    def only(self, uuid: str = APP) -> FakeContainer:
        return self.world.only(uuid)

    def sandbox(self) -> str:
        (handle,) = self.world.engine.sandboxes
        return handle
