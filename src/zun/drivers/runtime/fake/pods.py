# SPDX-License-Identifier: Apache-2.0
"""Sandboxes of made-up capsules: the `Pods` part of the port."""

from zun.drivers.runtime.fake.containers import make_endpoint
from zun.drivers.runtime.fake.engine import DEFAULT_NETWORK, FakeEngine
from zun.drivers.runtime.fake.sandbox import FakeSandbox
from zun.drivers.runtime.types import NetworkRequest, RuntimeEvent, RuntimeEventKind, SandboxRequest, SandboxSeen
from zun.model.errors import Conflict, NotFound


class FakePods:
    """Implements `Pods` on a fake engine."""

    def __init__(self, engine: FakeEngine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def create_sandbox(self, request: SandboxRequest) -> str:
        """Make it; the same uuid and generation give the same handle."""
        engine = self._engine
        await engine.faults.before("create_sandbox")
        for known in self._own():
            if (known.request.uuid, known.request.generation) == (request.uuid, request.generation):
                if not known.ready:
                    raise Conflict("The sandbox has ended; remove it and make another.")
                return known.handle
        sandbox = FakeSandbox(engine.new_id(), self._owner, request, engine.clock.now())
        wished = request.networks or (() if request.unplugged else (NetworkRequest(DEFAULT_NETWORK),))
        sandbox.endpoints.extend(make_endpoint(engine, one) for one in wished)
        engine.plug(sandbox.endpoints)
        try:
            engine.publish(sandbox.handle, request.published)
        except Conflict:
            engine.unplug(sandbox.endpoints)
            raise
        engine.sandboxes[sandbox.handle] = sandbox
        engine.faults.after("create_sandbox")
        return sandbox.handle

    async def inspect_sandbox(self, handle: str) -> SandboxSeen:
        """One sandbox."""
        await self._engine.faults.before("inspect_sandbox")
        found = self._engine.sandboxes.get(handle)
        if found is None or found.owner != self._owner:
            raise NotFound(f"The engine has no sandbox {handle[:12]}; list them again.")
        return found.seen()

    async def list_sandboxes(self, capsule: str = "") -> list[SandboxSeen]:
        """This owner's, or those of one capsule."""
        await self._engine.faults.before("list_sandboxes")
        return [found.seen() for found in self._own() if capsule in {"", found.request.uuid}]

    async def remove_sandbox(self, handle: str) -> None:
        """Remove it with what is in it; absent is fine."""
        engine = self._engine
        await engine.faults.before("remove_sandbox")
        sandbox = engine.sandboxes.get(handle)
        if sandbox is not None and sandbox.owner == self._owner:
            for container in list(engine.containers.values()):
                if container.request.sandbox == handle:
                    engine.drop(container)
            engine.unplug(sandbox.endpoints)
            engine.unpublish(handle)
            engine.give_back(sandbox.endpoints)
            del engine.sandboxes[handle]
            event = RuntimeEvent(RuntimeEventKind.REMOVED, handle, "", engine.clock.now(), sandbox.request.uuid)
            engine.tell(self._owner, event)
        engine.faults.after("remove_sandbox")

    def _own(self) -> list[FakeSandbox]:
        return [found for found in self._engine.sandboxes.values() if found.owner == self._owner]
