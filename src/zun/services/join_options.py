# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about how machines become nodes (section `[join]`)."""

from typing import Annotated

from msgspec import Meta, Struct


class JoinOptions(Struct, frozen=True, kw_only=True):
    """How machines become nodes. Empty endpoints: they cannot."""

    endpoints: Annotated[
        tuple[str, ...],
        Meta(
            description="Where nodes reach the store, each host:port: the gates (`zund gate`). Empty: no machine can join."
        ),
    ] = ()
    direct: Annotated[
        bool,
        Meta(
            description="The endpoints are etcd's members and no gates: each node is a user of etcd. With etcd before 3.5.33, 3.6.14 and "
            "3.7.1 a captured node then reads and writes everything; see the page on security."
        ),
    ] = False
    api_urls: Annotated[
        tuple[str, ...],
        Meta(
            description="URLs of the API that tokens name, for nodes to join at. Empty: where the token was asked for."
        ),
    ] = ()
    certificate_days: Annotated[
        int, Meta(description="How long a node's certificate lives; it has a new one long before.", ge=1, le=3650)
    ] = 365
    token_seconds: Annotated[
        int,
        Meta(
            description="How long a token lets a machine join, unless it was made for another time.", ge=60, le=86_400
        ),
    ] = 3600
