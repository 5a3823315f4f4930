# SPDX-License-Identifier: Apache-2.0
"""How a machine is a node: one that joined an installation (`members`), or one beside a plain etcd on the same machine."""

from collections.abc import Callable
from dataclasses import dataclass

from zun.agent.identity import MEMBERSHIP
from zun.base.clock import Clock
from zun.config import Settings
from zun.model.errors import Denied
from zun.store.interface import Store
from zun.wiring.basis import node_name
from zun.wiring.computing import Node, register_over_store
from zun.wiring.life import Part
from zun.wiring.stores import ANY_KEY, require_shared_store


@dataclass(frozen=True)
class Standing:
    """A node before it is built. `settings` are those that it is built from, `readable_key` one that it may read in the store.

    `beside` is what runs beside its agent, by name; `denied` what it means that the store will not have it.
    """

    name: str
    settings: Settings
    readable_key: str
    beside: Callable[[Node, Store, Clock], dict[str, Part]]
    denied: Callable[[Denied], Denied]


def standing_of(settings: Settings) -> Standing:
    """What this machine is. Raises `Invalid`."""
    if (settings.state_dir / MEMBERSHIP).exists():
        from zun.wiring.members import member  # noqa: PLC0415 - loads what reads certificates

        return member(settings)
    require_shared_store(settings, "compute")
    return Standing(node_name(settings), settings, ANY_KEY, _registration, lambda error: error)


def _registration(node: Node, store: Store, clock: Clock) -> dict[str, Part]:
    async def registration() -> None:
        # The store is a plain etcd on loopback (it is connected to otherwise by nobody), which takes the node's word for who it is.
        await register_over_store(node, store, clock)

    return {"registration": registration}
