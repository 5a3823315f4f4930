# SPDX-License-Identifier: Apache-2.0
"""A sandbox of the fake: its place on networks, and whether it holds."""

from dataclasses import dataclass, field

from zun.drivers.runtime.fake.network import Endpoint, addresses_of
from zun.drivers.runtime.types import SandboxRequest, SandboxSeen


@dataclass(slots=True, eq=False)
class FakeSandbox:
    """One sandbox. Only the engine changes it."""

    handle: str
    owner: str
    request: SandboxRequest
    created_at: float
    ready: bool = True
    endpoints: list[Endpoint] = field(default_factory=list)

    def seen(self) -> SandboxSeen:
        """What the engine shows of it."""
        return SandboxSeen(
            handle=self.handle,
            uuid=self.request.uuid,
            generation=self.request.generation,
            ready=self.ready,
            created_at=self.created_at,
            addresses=addresses_of(self.endpoints) if self.ready else (),
        )
