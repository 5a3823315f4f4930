# SPDX-License-Identifier: Apache-2.0
"""Networks for tests of what stands on the port: nothing is plugged in, all is remembered, and failures can be ordered."""

from zun.model.attachments import Attachment, SandboxNetwork, check_sandbox
from zun.model.errors import Conflict, NotFound, ZunError


class FakeNetworks:
    """Scriptable. `running` holds the keys of sandboxes that run; set `failure` to have the next change refused."""

    def __init__(self, *, by_engine: bool = False) -> None:
        self.by_engine = by_engine
        self.running: set[str] = set()
        self.failure: ZunError | None = None
        self.sandboxes: dict[str, SandboxNetwork] = {}

    @property
    def name(self) -> str:
        """It is none of the real ones."""
        return "fake"

    async def prepare(self, sandbox: SandboxNetwork) -> None:
        """Remember."""
        self._fail()
        check_sandbox(sandbox)
        self.sandboxes[sandbox.key] = sandbox

    async def prepared(self, key: str) -> SandboxNetwork:
        """What is remembered."""
        return self._known(key)

    async def plug(self, key: str, container_id: str, netns: str) -> None:  # noqa: ARG002
        """It runs."""
        self._fail()
        self._known(key)
        self.running.add(key)

    async def attach(self, key: str, attachment: Attachment) -> None:
        """Remember one more."""
        self._fail()
        known = self._known(key)
        if any(one.network == attachment.network for one in known.attachments):
            raise Conflict(f"Sandbox {key} is on network {attachment.network} already.")
        taken = {
            address.addr for other in self.sandboxes.values() for one in other.attachments for address in one.addresses
        }
        for address in attachment.addresses:
            if address.addr in taken:
                raise Conflict(f"Address {address.addr} is in use.")
        changed = SandboxNetwork(key, (*known.attachments, attachment), known.dns)
        check_sandbox(changed)
        self.sandboxes[key] = changed

    async def detach(self, key: str, network: str) -> None:
        """Remember one less."""
        self._fail()
        known = self._known(key)
        left = tuple(one for one in known.attachments if one.network != network)
        if left == known.attachments:
            raise NotFound(f"Sandbox {key} is not on network {network}.")
        self.sandboxes[key] = SandboxNetwork(key, left, known.dns)

    async def release(self, key: str) -> None:
        """Forget."""
        self._fail()
        self.sandboxes.pop(key, None)

    async def known(self) -> set[str]:
        """All that is remembered."""
        return set(self.sandboxes)

    def _known(self, key: str) -> SandboxNetwork:
        if key not in self.sandboxes:
            raise NotFound(f"There is no sandbox {key}.")
        return self.sandboxes[key]

    def _fail(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
