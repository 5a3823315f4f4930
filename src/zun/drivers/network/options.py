# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about networks (section `[network]`)."""

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
