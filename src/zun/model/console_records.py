# SPDX-License-Identifier: Apache-2.0
"""What the store holds of consoles; written by services."""

import msgspec


class ConsoleGrant(msgspec.Struct, omit_defaults=True, frozen=True):
    """A console session that may be opened once (`v/console/<hash>`); the lease of its key ends it."""

    container_uuid: str
    project_id: str
    node: str
    expires_at: float
    exec_id: str = ""
    v: int = 1
