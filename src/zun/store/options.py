# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about the store."""

from typing import Annotated, Literal

import msgspec

Meta = msgspec.Meta


class StoreOptions(msgspec.Struct, frozen=True):
    """Where state is kept."""

    driver: Annotated[
        Literal["sqlite", "etcd", "memory"],
        Meta(
            description="sqlite: embedded, durable, one process. etcd: a cluster of servers. memory: gone at exit; for trying things"
        ),
    ] = "sqlite"
    endpoints: Annotated[
        tuple[str, ...],
        Meta(
            description="etcd's members, each host:port (IPv6 as [address]:port); name all, a client needs one that works"
        ),
    ] = ("127.0.0.1:2379",)
    ca_file: Annotated[
        str,
        Meta(description="PEM file of the authority that signed etcd's certificates; empty: no TLS, on loopback only"),
    ] = ""
    cert_file: Annotated[
        str,
        Meta(description="PEM file of the certificate this process shows to etcd; its common name is the etcd user"),
    ] = ""
    key_file: Annotated[
        str, Meta(description="PEM file of that certificate's private key, readable by nobody else")
    ] = ""
    history_seconds: Annotated[
        float,
        Meta(
            description="How long old revisions are kept, from which clients resume after an outage; with etcd the leading controller compacts",
            ge=60,
        ),
    ] = 600.0
    history_revisions: Annotated[
        int, Meta(description="So many old revisions are kept at most, however young", ge=1000)
    ] = 100_000
