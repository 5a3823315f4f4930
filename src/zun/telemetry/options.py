# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about figures (section `[metrics]`) and traces (section `[tracing]`)."""

from typing import Annotated

import msgspec

from zun.base.addresses import address


class MetricsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Figures for Prometheus. API servers tell theirs at /metrics of the API itself."""

    listen: Annotated[
        str,
        msgspec.Meta(
            description="Where a controller or a node serves GET /metrics, as host:port; port 0: any free one. Empty: nowhere."
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is no address."""
        if self.listen:
            address(self.listen)


class TracingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Traces that follow one request from the API to its node, for OpenTelemetry."""

    endpoint: Annotated[
        str,
        msgspec.Meta(
            description="A collector's address for OTLP over HTTP, like http://127.0.0.1:4318. Empty: nothing is traced."
        ),
    ] = ""
    sample_ratio: Annotated[
        float,
        msgspec.Meta(
            description="The share of requests that are followed, of those whose client does not say; 1: all.",
            ge=0,
            le=1,
        ),
    ] = 1.0

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is no address of a collector."""
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError(f"endpoint: {self.endpoint!r} is no URL; write it like http://127.0.0.1:4318")
