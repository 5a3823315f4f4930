# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about the daemon that binds networks (section `[cni]`)."""

from typing import Annotated

import msgspec

Meta = msgspec.Meta


class CniOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The network daemon of a node, in use with [network] driver = cni."""

    separate: Annotated[
        bool,
        Meta(description="Whether the daemon is `zund cni-daemon`, a process of its own, and not part of the node's."),
    ] = False
    bin_dir: Annotated[
        str,
        Meta(
            description="The engine's folder of CNI plugins: zun-cni is written there at the start. Empty: not written."
        ),
    ] = ""
    conf_dir: Annotated[
        str,
        Meta(
            description="The engine's folder of CNI configurations: 10-zun.conflist is written there. Empty: not written."
        ),
    ] = ""
    chained: Annotated[
        str,
        Meta(description="File with a JSON list of further plugins, run after zun-cni for every sandbox. Empty: none."),
    ] = ""
    port: Annotated[
        int, Meta(description="Where the daemon listens on loopback; 0: a port that is free.", ge=0, le=65535)
    ] = 0
    uplinks: Annotated[
        list[str],
        Meta(
            description="Bridges of the machine through which containers may leave it. Empty: those with a default route. Other kinds of interfaces need no naming."
        ),
    ] = []
    host_access: Annotated[
        bool, Meta(description="Whether containers may reach services of the machine itself at its addresses.")
    ] = False
    bind_seconds: Annotated[
        float, Meta(description="Plugging one sandbox in or out may take so long.", ge=1, le=600)
    ] = 20.0
    sync_seconds: Annotated[
        float, Meta(description="Interval of looking whether everything that was bound is still there.", ge=1, le=3600)
    ] = 60.0
