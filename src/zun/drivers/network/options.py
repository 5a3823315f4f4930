# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about networks (section `[network]`)."""

import ipaddress
from typing import Annotated, Literal

import msgspec


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Who plugs this node's containers into networks."""

    driver: Annotated[
        Literal["engine", "cni", "fake"],
        msgspec.Meta(
            description="engine: the engine, into networks of its own. cni: zun-cni and its daemon, started with the node. fake: nothing is plugged in; for tests and load."
        ),
    ] = "engine"
    publish_address: Annotated[
        str,
        msgspec.Meta(
            description="At which address of this node the ports are found that containers publish, as people are shown it; 0.0.0.0: at all of them. "
            "Empty: its containers publish none. It counts for containers that are placed from then on."
        ),
    ] = "127.0.0.1"

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is no address."""
        if not self.publish_address:
            return
        try:
            short = str(ipaddress.ip_address(self.publish_address))
        except ValueError as error:
            raise ValueError(f"publish_address {self.publish_address!r} is no IP address") from error
        if short != self.publish_address or "%" in short:
            raise ValueError(
                f"publish_address {self.publish_address!r} is not in its short form, like {short.partition('%')[0]}"
            )
