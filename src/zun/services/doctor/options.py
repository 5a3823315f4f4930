# SPDX-License-Identifier: Apache-2.0
"""What an operator can set about the doctor."""

from typing import Annotated

import msgspec
from msgspec import Meta


class DoctorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `zunctl doctor` finds wrong, and how long it looks."""

    store_limit_mib: Annotated[
        int, Meta(description="How large etcd lets its database grow: its --quota-backend-bytes, in MiB.", ge=1)
    ] = 2048
    state_free_mib: Annotated[
        int, Meta(description="A state directory with less room than this is found wrong.", ge=1)
    ] = 1024
    clock_skew_seconds: Annotated[
        float, Meta(description="A node whose clock differs by more than this is found wrong.", gt=0)
    ] = 2.0
    certificate_days: Annotated[
        float, Meta(description="A certificate that ends sooner than in so many days is found wrong.", gt=0)
    ] = 30.0
    waiting_seconds: Annotated[
        float, Meta(description="Who waits longer than this for a node or the leader is found stuck.", gt=0)
    ] = 600.0
    node_seconds: Annotated[float, Meta(description="So long a node may take to answer.", gt=0, le=60)] = 5.0
    total_seconds: Annotated[
        float,
        Meta(description="So long everything together may take; what is left by then is said to be.", gt=0, le=300),
    ] = 30.0
    nodes_at_once: Annotated[int, Meta(description="So many nodes are asked at once.", ge=1, le=1000)] = 32
