# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about figures (section `[metrics]`)."""

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
