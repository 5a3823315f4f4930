# SPDX-License-Identifier: Apache-2.0
"""How each member of etcd is, in the words of `zun.store.health`.

A member names the alarms of its cluster among its `errors`; NOSPACE is the one that ends writing.
"""

from typing import Any

from zun.store.etcd.address import Address
from zun.store.etcd.connection import Refused
from zun.store.etcd.members import Members
from zun.store.health import MemberHealth


async def members_health(members: Members) -> tuple[MemberHealth, ...]:
    """Each member, by address; takes some seconds at most."""
    return tuple(_health(address, said) for address, said in await members.statuses())


def _health(address: Address, said: Any) -> MemberHealth:
    name = f"member {address}"
    if isinstance(said, Refused):
        return MemberHealth(name=name, trouble=said.reason)
    full = any("NOSPACE" in error for error in said.errors)
    others = [error for error in said.errors if "NOSPACE" not in error]
    return MemberHealth(
        name=name,
        trouble=f"says: {'; '.join(others)}" if others else "",
        version=said.version,
        leads=bool(said.leader) and said.leader == said.header.member_id,
        bytes=said.db_size,
        bytes_in_use=said.db_size_in_use,
        full=full,
    )
