# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that several containers join: the `Pods` part of the port. They are what the engine's own sandboxes are made for.

Other than a container's own sandbox, one of these is never made again in silence: what it held is lost with it, and the agent begins anew.
"""

from zun.base.side_by_side import side_by_side
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.containers import CriContainers
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.making import Making
from zun.drivers.runtime.cri.plugging import Plugging
from zun.drivers.runtime.cri.sandboxes import Sandboxes
from zun.drivers.runtime.cri.seen import pod_addresses
from zun.drivers.runtime.types import SandboxRequest, SandboxSeen
from zun.model.errors import Conflict, NotFound

_LOOKS_AT_ONCE = 8
_REMOVALS_AT_ONCE = 8
_NANO = 1_000_000_000


class CriPods:
    """Implements `Pods` on a CRI engine, for one owner. A handle is the engine's id."""

    def __init__(
        self,
        containers: CriContainers,
        attempts: Attempts,
        sandboxes: Sandboxes,
        making: Making,
        plugging: Plugging,
    ) -> None:
        self._containers = containers
        self._attempts = attempts
        self._sandboxes = sandboxes
        self._making = making
        self._plugging = plugging

    async def create_sandbox(self, request: SandboxRequest) -> str:
        """Make it, ready; one call of the engine's."""
        which = Identity(request.uuid, request.generation)
        identity_of(which.handle)
        network = await self._containers.network_for(request)
        async with self._attempts.lock(which.handle):
            for known in await self._sandboxes.of_capsule(which):
                if known.state == cri.SANDBOX_READY:
                    if request.unplugged:
                        await self._plugging.confirm(which, known.id)
                    return known.id
                raise Conflict("The sandbox has ended; remove it and make another.")
            return await self._making.pod(request, network)

    async def inspect_sandbox(self, handle: str) -> SandboxSeen:
        """One sandbox now."""
        status = await self._sandboxes.status(handle)
        which = self._sandboxes.capsule(status)
        if which is None:
            raise NotFound(f"{handle[:12]} is no sandbox of this node; list them.")
        ready = status.state == cri.SANDBOX_READY
        return SandboxSeen(
            handle=handle,
            uuid=which.uuid,
            generation=which.generation,
            ready=ready,
            created_at=status.created_at / _NANO,
            addresses=pod_addresses(status) if ready else (),
        )

    async def list_sandboxes(self, capsule: str = "") -> list[SandboxSeen]:
        """This owner's, or those of one capsule. Each is asked for by itself, so who wants one capsule's says so."""

        async def look(sandbox: cri.PodSandbox) -> SandboxSeen | None:
            try:
                return await self.inspect_sandbox(sandbox.id)
            except NotFound:
                return None  # removed since it was listed

        found = await side_by_side(await self._sandboxes.of_capsules(capsule), look, at_once=_LOOKS_AT_ONCE)
        return [one for one in found if one is not None]

    async def remove_sandbox(self, handle: str) -> None:
        """Remove it after all that is in it: containers keep things of their own, which go with them."""
        try:
            status = await self._sandboxes.status(handle)
        except NotFound:
            return
        which = self._sandboxes.capsule(status)
        if which is None:
            return
        async with self._attempts.lock(which.handle):
            members = [member.handle for member in await self._attempts.of_capsule(which)]
            await side_by_side(members, self._containers.remove, at_once=_REMOVALS_AT_ONCE)
            await self._making.unmake_pod(which, handle)
