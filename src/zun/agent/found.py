# SPDX-License-Identifier: Apache-2.0
"""What the engine has of ours, of the whole node or of one container or capsule."""

from collections.abc import Sequence

import msgspec

from zun.drivers.runtime.types import SandboxSeen, Seen


def owner_of(one: Seen | SandboxSeen) -> str:
    """The uuid of the container or capsule that an object is of."""
    return one.capsule or one.uuid if isinstance(one, Seen) else one.uuid


class Found(msgspec.Struct, frozen=True):
    """Containers, those of capsules included, and sandboxes."""

    containers: Sequence[Seen] = ()
    sandboxes: Sequence[SandboxSeen] = ()

    def by_owner(self) -> "dict[str, Found]":
        """The same, by the uuid of the container or capsule that they are of."""
        containers: dict[str, list[Seen]] = {}
        sandboxes: dict[str, list[SandboxSeen]] = {}
        for seen in self.containers:
            containers.setdefault(owner_of(seen), []).append(seen)
        for sandbox in self.sandboxes:
            sandboxes.setdefault(sandbox.uuid, []).append(sandbox)
        return {
            uuid: Found(containers.get(uuid, ()), sandboxes.get(uuid, ()))
            for uuid in containers.keys() | sandboxes.keys()
        }

    @property
    def everything(self) -> list[Seen | SandboxSeen]:
        """All that there is."""
        return [*self.containers, *self.sandboxes]

    @property
    def generations(self) -> list[int]:
        """Those of all that there is."""
        return [one.generation for one in self.everything]

    def not_later(self, generation: int) -> "Found":
        """Without what is of later generations."""
        return Found(
            [seen for seen in self.containers if seen.generation <= generation],
            [sandbox for sandbox in self.sandboxes if sandbox.generation <= generation],
        )
