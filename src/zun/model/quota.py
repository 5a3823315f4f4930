# SPDX-License-Identifier: Apache-2.0
"""What a project uses, and what it may use. Written as all records are (`zun.model.records`)."""

import msgspec


class Usage(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a project uses (`v/q/<project>`)."""

    containers: int = 0
    millicpus: int = 0
    memory: int = 0  # MiB
    disk: int = 0  # GiB
    v: int = 1


class Limits(msgspec.Struct, omit_defaults=True, frozen=True):
    """Limits that were set (`v/limit/…`); None: not set here, −1: unlimited. `cpu` in cores."""

    containers: int | None = None
    cpu: int | None = None
    memory: int | None = None  # MiB
    disk: int | None = None  # GiB
    v: int = 1
