# SPDX-License-Identifier: Apache-2.0
"""How the servers, or the file, behind a store are."""

import msgspec


class MemberHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One member of etcd, or the one file of an embedded store. `trouble`: what is wrong with it, a phrase with the member for its subject.

    `bytes` is what its database takes on disk, `bytes_in_use` what of that is used; `full`: it takes no writes for want of space.
    `free_bytes`: the room left on its file system, where that can be seen.
    """

    name: str
    trouble: str = ""
    version: str = ""
    leads: bool = False
    bytes: int = 0
    bytes_in_use: int = 0
    full: bool = False
    free_bytes: int | None = None
