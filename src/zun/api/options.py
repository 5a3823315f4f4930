# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about the REST service (section `[api]`)."""

import ipaddress
from typing import Annotated

import msgspec

_MIB = 1024 * 1024


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens, and the limits of requests and answers."""

    host: Annotated[
        str,
        msgspec.Meta(description="Address to listen on. Only loopback unless told otherwise: a token is all it takes."),
    ] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(description="Port to listen on; 0: any free one.", ge=0, le=65535)] = 9517
    max_limit: Annotated[int, msgspec.Meta(description="Most items on one page of a list.", ge=1, le=100_000)] = 1000
    max_body_bytes: Annotated[int, msgspec.Meta(description="Largest JSON body of a request.", ge=1024)] = 4 * _MIB
    max_archive_body_bytes: Annotated[
        int, msgspec.Meta(description="Largest body of put_archive (base64); the raw endpoint has no limit.", ge=1024)
    ] = 48 * _MIB
    body_timeout_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How long a request's head, and each next piece of its body, may take to arrive.", gt=0
        ),
    ] = 30.0
    max_connections: Annotated[
        int, msgspec.Meta(description="Most connections served at the same time; more get 503. 0: no bound.", ge=0)
    ] = 4096
    page_cache_bytes: Annotated[
        int, msgspec.Meta(description="Memory for answers that are kept while nothing changed. 0: none.", ge=0)
    ] = 32 * _MIB
    trusted_proxies: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Networks whose X-Forwarded-Proto, -Host and -Prefix headers are believed when links are built."
        ),
    ] = ("127.0.0.0/8", "::1/128")
    cors_allowed_origins: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Origins of web pages that may call the API from a browser. Empty: none."),
    ] = ()
    stop_seconds: Annotated[
        int, msgspec.Meta(description="How long requests in work may go on when the service stops.", ge=0)
    ] = 5

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is no network."""
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {error}") from error
