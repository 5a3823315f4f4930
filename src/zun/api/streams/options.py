# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about streams (section `[streams]`)."""

from typing import Annotated

import msgspec


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Logs that follow, raw archives, the watch, and consoles."""

    stall_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How long a client or a process may take nothing before its stream or console ends.", gt=0
        ),
    ] = 600.0
    watch_stall_seconds: Annotated[
        float,
        msgspec.Meta(description="How long a watching client may take nothing before it is cut; it can resume.", gt=0),
    ] = 30.0
    heartbeat_seconds: Annotated[
        float, msgspec.Meta(description="Seconds between the signs of life of a watch without events.", gt=0)
    ] = 15.0
    console_allowed_origins: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Hosts whose web pages may open consoles from a browser, besides this service's own host."
        ),
    ] = ()
