# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about the controllers."""

from typing import Annotated

import msgspec


class ControllerOptions(msgspec.Struct, frozen=True):
    """The control loops, one of which leads."""

    lease_ttl_seconds: Annotated[
        int,
        msgspec.Meta(
            description="How long a controller that died is still taken for the leader, in seconds.", ge=2, le=300
        ),
    ] = 10
    purge_interval_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How often the history of deleted containers is searched for what is too old, in seconds.", ge=1
        ),
    ] = 600.0
