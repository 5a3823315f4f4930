# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about streams between API servers and nodes (section `[node_streams]`)."""

from typing import Annotated

import msgspec
from msgspec import Meta


class NodeStreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Logs, exec, attach and archives between an API server and a node on another machine."""

    connect_seconds: Annotated[
        float, Meta(description="How long an API server tries to connect to a node.", ge=0.1, le=60)
    ] = 5.0
    keepalive_seconds: Annotated[
        float, Meta(description="A peer that was silent for so long is asked whether it is there.", ge=0.1, le=300)
    ] = 10.0
    keepalive_timeout_seconds: Annotated[
        float,
        Meta(description="A peer that does not answer that within so long is gone; its streams end.", ge=0.1, le=60),
    ] = 5.0
    idle_seconds: Annotated[
        float, Meta(description="A connection to a node that nobody used for so long is closed.", ge=0.1, le=86400)
    ] = 300.0
    connection_age_seconds: Annotated[
        float,
        Meta(
            description="New streams do not use a connection older than this, so that certificates are looked at again.",
            ge=1,
            le=604_800,
        ),
    ] = 3600.0
    most_nodes: Annotated[
        int, Meta(description="An API server is connected to so many nodes at once.", ge=1, le=100_000)
    ] = 2000
    most_streams: Annotated[
        int, Meta(description="A node serves so many streams at once; more get 503.", ge=1, le=100_000)
    ] = 1000
    most_streams_of_container: Annotated[
        int, Meta(description="So many of them may be one container's.", ge=1, le=100_000)
    ] = 100
    most_calls: Annotated[
        int,
        Meta(
            description="A node answers so many short calls (top, stats, resize) at once; more get 503.",
            ge=1,
            le=10_000,
        ),
    ] = 200
