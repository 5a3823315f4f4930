# SPDX-License-Identifier: Apache-2.0
"""What a process of the control plane says of itself while it runs."""

import msgspec


class ProcessRecord(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """`v/proc/<role>/<identity>`, with a lease. `identity` is host and process id; times are seconds since the epoch, by its own clock.

    `state_free_mib` is the room on the file system of its state directory (in steps, so that it seldom changes), `certificates` when each of
    its certificates ends, by file.
    """

    role: str
    identity: str
    version: str
    started_at: float
    state_dir: str = ""
    state_free_mib: int | None = None
    certificates: dict[str, float] = {}
    v: int = 1
