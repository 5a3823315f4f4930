# SPDX-License-Identifier: Apache-2.0
"""Networks that the engine has, chooses addresses on, and plugs its containers into."""

from typing import Protocol

from zun.model.attachments import Attachment, SandboxNetwork
from zun.model.errors import Conflict, NotFound


class Engine(Protocol):
    """What is needed of the engine, by the sandbox's key. Raises what its runtime port says."""

    async def plug(self, key: str, network: str, v4: str | None, v6: str | None) -> None:
        """Put the container on a network, with these addresses if any are given."""

    async def unplug(self, key: str, network: str) -> None:
        """Take it off."""


class EngineNetworks:
    """Implements `Networks` with the networks of an engine. A sandbox is forgotten with the process: the engine knows its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sandboxes: dict[str, SandboxNetwork] = {}

    @property
    def name(self) -> str:
        """As the settings have it."""
        return "engine"

    @property
    def by_engine(self) -> bool:
        """It does."""
        return True

    async def prepare(self, sandbox: SandboxNetwork) -> None:
        """The engine is told when it makes the container."""
        self._sandboxes[sandbox.key] = sandbox

    async def prepared(self, key: str) -> SandboxNetwork:
        """As the engine was told, or had it done."""
        return self._known(key)

    async def attach(self, key: str, attachment: Attachment) -> None:
        """Have the engine do it; a container that does not run is plugged in, too."""
        known = self._known(key)
        if any(one.network == attachment.network for one in known.attachments):
            raise Conflict(f"Sandbox {key} is on network {attachment.network} already.")
        v4 = next((one.addr for one in attachment.addresses if one.version == 4), None)
        v6 = next((one.addr for one in attachment.addresses if one.version == 6), None)
        await self._engine.plug(key, attachment.network, v4, v6)
        self._sandboxes[key] = SandboxNetwork(key, (*known.attachments, attachment), known.dns)

    async def detach(self, key: str, network: str) -> None:
        """Have the engine do it."""
        known = self._known(key)
        left = tuple(one for one in known.attachments if one.network != network)
        if left == known.attachments:
            raise NotFound(f"Sandbox {key} is not on network {network}.")
        await self._engine.unplug(key, network)
        self._sandboxes[key] = SandboxNetwork(key, left, known.dns)

    async def release(self, key: str) -> None:
        """The engine unplugs what it removes."""
        self._sandboxes.pop(key, None)

    async def known(self) -> set[str]:
        """Those of this process."""
        return set(self._sandboxes)

    def _known(self, key: str) -> SandboxNetwork:
        if key not in self._sandboxes:
            raise NotFound(f"There is no sandbox {key}.")
        return self._sandboxes[key]
