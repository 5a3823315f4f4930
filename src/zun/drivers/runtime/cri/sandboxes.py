# SPDX-License-Identifier: Apache-2.0
"""Sandboxes: the network and the control group that containers run in. One for each container that stands alone, one for each capsule.

The engine makes a sandbox in one call, but lists it only when it is complete; so what a crash left half-made is found by its labels,
and its name (owner, uuid, generation, attempt) is refused as long as the engine is still at it.
"""

from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri.calls import RuntimeCalls
from zun.drivers.runtime.cri.handles import Identity
from zun.drivers.runtime.cri.seen import network_namespaces
from zun.model.errors import NotFound


class Sandboxes:
    """The sandboxes of one owner."""

    def __init__(self, calls: RuntimeCalls, owner: str) -> None:
        self._calls = calls
        self._owner = owner

    async def of_capsule(self, which: Identity) -> list[cri.PodSandbox]:
        """Those of one capsule, ready or not."""
        return await self._select(labels.capsule_selector(self._owner, which))

    async def of_capsules(self, capsule: str = "") -> list[cri.PodSandbox]:
        """Those of all the owner's capsules, or of one whatever its generation, ready or not."""
        return await self._select(labels.capsules_selector(self._owner, capsule))

    async def _select(self, selector: dict[str, str]) -> list[cri.PodSandbox]:
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=selector))
        return [*(await self._calls.list_sandboxes(request, "list the sandboxes")).items]

    async def list(self, which: Identity | None = None) -> list[cri.PodSandbox]:
        """All of the owner's, or those of one container, ready or not."""
        return await self._select(labels.selector(self._owner, which))

    def capsule(self, sandbox: cri.PodSandboxStatus) -> Identity | None:
        """Which capsule it is of; None when it is none of this owner's capsules'."""
        return labels.capsule(sandbox.labels, self._owner)

    async def run(self, config: cri.PodSandboxConfig, handler: str) -> str:
        """Make one with its network, and start it. Raises `Unavailable` while the engine is still at an earlier one of that name."""
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=handler)
        return (await self._calls.run_sandbox(request, "make the container's sandbox")).pod_sandbox_id

    async def status(self, sandbox_id: str) -> cri.PodSandboxStatus:
        """One sandbox now. Raises `NotFound`."""
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        return (await self._calls.sandbox_status(request, "show the sandbox")).status

    async def network_namespace(self, sandbox_id: str) -> str:
        """The path of its network namespace. Raises `NotFound` for a sandbox that is gone, or has none of its own."""
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id, verbose=True)
        told = await self._calls.sandbox_status(request, "show the sandbox")
        for path in network_namespaces(told):
            return path
        raise NotFound(f"Sandbox {sandbox_id[:12]} has no network of its own.")

    async def stop(self, sandbox_id: str) -> None:
        """End what runs in it and give its network back; gone is no error."""
        try:
            await self._calls.stop_sandbox(
                cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id), "stop the container's sandbox"
            )
        except NotFound:
            return

    async def discard(self, sandbox_id: str) -> None:
        """Stop it and remove it with its containers; gone is no error."""
        await self.stop(sandbox_id)
        try:
            await self._calls.remove_sandbox(
                cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id), "remove the container's sandbox"
            )
        except NotFound:
            return
