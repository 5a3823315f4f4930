# SPDX-License-Identifier: Apache-2.0
"""What a node may do in a store that is shared over the network: its account, which the control plane gives and takes.

A node's role allows what `StoreNodeLink` does and nothing else. A role belongs to a name; a user to one machine that joined under it.
"""

import asyncio
from enum import StrEnum
from typing import Protocol

import msgspec

from zun.model.errors import Unavailable
from zun.store import keys


class Access(StrEnum):
    """What a role may do."""

    READ = "read"
    READ_WRITE = "readwrite"


class Right(msgspec.Struct, frozen=True):
    """One of a role's rights: to keys with a prefix, or, `single`, to the one key that it is."""

    prefix: str
    access: Access
    single: bool = False


def rights_of(node: str) -> tuple[Right, ...]:
    """All that a node may do. Each prefix ends with a slash, so that `n1` has no part in what is `n10`'s."""
    return (
        Right(keys.SCHEMA, Access.READ, single=True),  # whether it understands the records
        Right(keys.inbox_prefix(node), Access.READ),
        Right(keys.blobs_of(node), Access.READ),
        Right(keys.node_prefix(node), Access.READ_WRITE),
    )


class NodeAccounts(Protocol):
    """Accounts of nodes. Each call may be repeated; raises `Unavailable`, `Timeout`, or `Denied` (this process may not)."""

    async def give(self, node: str, user: str) -> None:
        """Let `user`, and no other user of before, have the node's rights."""

    async def take_all(self, node: str) -> None:
        """Take the rights of all users of the node away, and the role."""

    async def users(self) -> list[str]:
        """All users that are nodes'."""


class NoAccounts:
    """Where nodes have none, since a gate looks at their records itself."""

    async def give(self, node: str, user: str) -> None:
        """The record says it."""

    async def take_all(self, node: str) -> None:
        """The record says it."""

    async def users(self) -> list[str]:
        """Nobody."""
        return []


class FakeAccounts:
    """Accounts in memory; `holders` has the user of each node that has an account.

    Nothing is given while `answering` is not set, and nothing can be changed while it is `away`.
    """

    def __init__(self) -> None:
        self.holders: dict[str, str] = {}
        self.answering = asyncio.Event()
        self.answering.set()
        self.away = False

    async def give(self, node: str, user: str) -> None:
        """As promised."""
        self._check()
        await self.answering.wait()
        self.holders[node] = user

    async def take_all(self, node: str) -> None:
        """As promised."""
        self._check()
        self.holders.pop(node, None)

    async def users(self) -> list[str]:
        """As promised."""
        self._check()
        return list(self.holders.values())

    def _check(self) -> None:
        if self.away:
            raise Unavailable("The accounts cannot be reached; try again.")
