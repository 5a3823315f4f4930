# SPDX-License-Identifier: Apache-2.0
"""The network port: who plugs the sandboxes of a node into networks, for the agent.

A sandbox is known by its key from the moment it is prepared until it is released, whether it runs or not. Errors are those of
`zun.model.errors` only: `Invalid` (cannot be bound as it stands), `NotFound` (no such sandbox or network), `Conflict` (there already,
or an address or port is taken), `Unavailable` (who plugs is away), `Timeout`. The suite in `contract.py` is what the words mean.
"""

from typing import Protocol

from zun.model.attachments import Attachment, SandboxNetwork


class Networks(Protocol):
    """The networks of a node's sandboxes."""

    @property
    def name(self) -> str:
        """Short name: engine, cni, fake."""

    @property
    def by_engine(self) -> bool:
        """Whether the engine plugs sandboxes in by itself, so that it must be told the networks when it makes one."""

    async def prepare(self, sandbox: SandboxNetwork) -> None:
        """What a sandbox is plugged into before its first process starts. To be called before it is made; what was said last counts."""

    async def prepared(self, key: str) -> SandboxNetwork:
        """What a sandbox is plugged into, or will be when it starts. Raises `NotFound` when it was not prepared."""

    async def attach(self, key: str, attachment: Attachment) -> None:
        """Plug it into one more network: at once when it runs, else when it starts. When it cannot be done, nothing has changed."""

    async def detach(self, key: str, network: str) -> None:
        """Unplug it from a network. Raises `NotFound` when it is not on it."""

    async def release(self, key: str) -> None:
        """Nothing of the sandbox's network is left, and it is unknown; call it when the sandbox has ended. Unknown is no error."""

    async def known(self) -> set[str]:
        """The keys that were prepared and not released, also those from before a restart."""
