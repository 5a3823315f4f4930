# SPDX-License-Identifier: Apache-2.0
"""What the engine has of ours, of the whole node or of one container or capsule."""

from collections.abc import Sequence

import msgspec

from zun.drivers.runtime.types import SandboxSeen, Seen


class Found(msgspec.Struct, frozen=True):
    """Containers, those of capsules included, and sandboxes."""

    containers: Sequence[Seen] = ()
    sandboxes: Sequence[SandboxSeen] = ()

    def by_owner(self) -> "dict[str, Found]":
        """The same, by the uuid of the container or capsule that they are of."""
        containers: dict[str, list[Seen]] = {}
        sandboxes: dict[str, list[SandboxSeen]] = {}
        for seen in self.containers:
            containers.setdefault(seen.capsule or seen.uuid, []).append(seen)
        for sandbox in self.sandboxes:
            sandboxes.setdefault(sandbox.uuid, []).append(sandbox)
        return {
            uuid: Found(containers.get(uuid, ()), sandboxes.get(uuid, ()))
            for uuid in containers.keys() | sandboxes.keys()
        }

    @property
    def generations(self) -> list[int]:
        """Those of all that there is."""
        return [seen.generation for seen in self.containers] + [sandbox.generation for sandbox in self.sandboxes]
