# SPDX-License-Identifier: Apache-2.0
"""What is kept of a private registry."""

import msgspec


class RegistryRecord(msgspec.Struct, omit_defaults=True):
    """A private registry (`v/reg/<uuid>`); `password` is encrypted with the master key."""

    uuid: str
    project_id: str
    user_id: str
    name: str
    domain: str
    created_at: float
    updated_at: float | None = None
    username: str | None = None
    password: bytes | None = None
    v: int = 1
